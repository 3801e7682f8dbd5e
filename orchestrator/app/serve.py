"""``orchestrator serve``: a small supervisor and one process for each role.

They are separate because Python runs one thread at a time: a receiver must answer while the engine
writes. The supervisor starts again what ends; each role may be killed at any moment.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from orchestrator.app import host as hosting
from orchestrator.app import pages
from orchestrator.app.watch import FolderWatch
from orchestrator.archive import Arrival, Closed, FolderArchive, Listener, Receiver, Ringer, Spool, connect
from orchestrator.config import Settings
from orchestrator.pipeline import Intake, Received
from orchestrator.web import serve as serve_pages

log = logging.getLogger(__name__)

HEAR_SECONDS = 0.05
RESCAN_SECONDS = 60.0
RESTART_SECONDS = 1.0
END_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class Role(StrEnum):
    """What one process of the service does."""

    RECEIVER = "receiver"
    ENGINE = "engine"
    WEB = "web"


def spool_of(settings: Settings) -> Spool:
    """Return the folder of received files, the truth about what arrived."""
    return Spool(settings.data.folder / "spool", minimum_free_mb=settings.receiver.minimum_free_mb)


def doorbell_of(settings: Settings) -> Path:
    """Return where the receiver rings and the engine listens."""
    return settings.data.folder / "doorbell"


class Stop:
    """Set by SIGTERM and SIGINT; a role ends its loop when it sees it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Return True as soon as the process is told to end, False after ``seconds``."""
        return self._event.wait(seconds)


def receive(settings: Settings) -> None:
    """Take what senders push until told to end."""
    stop, ringer = Stop(), Ringer(doorbell_of(settings))
    receiver = receiver_of(settings, ringer)
    receiver.start()
    log.info("receiving as %s on port %d", settings.receiver.ae_title, receiver.port)
    while not stop.wait(1.0):
        pass
    receiver.stop()
    ringer.close()


def receiver_of(settings: Settings, ringer: Ringer) -> Receiver:
    """Return the receiver that the settings describe; it rings for each arrival."""
    told = settings.receiver
    return Receiver(
        spool_of(settings),
        ae_title=told.ae_title,
        host=told.host,
        port=told.port,
        allow=told.allow,
        maximum_pdu=told.maximum_pdu,
        maximum_associations=told.maximum_associations,
        maximum_waiting=told.maximum_waiting,
        association_seconds=told.request_seconds,
        idle_seconds=told.idle_seconds,
        on_stored=ringer.ring,
        on_closed=ringer.ring,
    )


def work(settings: Settings) -> None:
    """Follow what arrives, run models and deliver results until told to end."""
    stop = Stop()
    settings.data.folder.mkdir(parents=True, exist_ok=True)
    with hosting.opened(settings) as host, closing(Listener(doorbell_of(settings))) as listener:
        intake = Intake(host.ledger, host.routing, quiet_seconds=settings.receiver.quiet_seconds)
        watches = [FolderWatch(archive) for archive in watched(settings)]
        spool, last_scan = spool_of(settings), 0.0
        log.info("the engine is ready with models: %s", ", ".join(sorted(host.workers.models())) or "none")
        while not stop:
            if time.time() >= last_scan + RESCAN_SECONDS:
                begun = time.time()
                recover(intake, spool, changed_after=last_scan - RESCAN_SECONDS)
                last_scan = begun
            for note in listener.hear(HEAR_SECONDS):
                take(intake, note)
            for watch in watches:
                for file in watch.new_files():
                    intake.received(file)
            intake.advance()


def take(intake: Intake, note: Arrival | Closed) -> None:
    """Tell the intake what the receiver rang for."""
    if isinstance(note, Closed):
        intake.closed(note.association, released=note.released, sender=note.calling, others_open=note.others_open)
    else:
        intake.received(_received(note))


def watched(settings: Settings) -> Iterator[FolderArchive]:
    """Yield the folder archives that are watched for new series."""
    for item in settings.archives:
        if item.watch:
            archive = connect(item.url, name=item.name, ae_title=item.ae_title)
            if isinstance(archive, FolderArchive):
                yield archive


def recover(intake: Intake, spool: Spool, changed_after: float = 0.0) -> None:
    """Take up what the spool holds and nobody rang for; the files themselves tell who sent them.

    changed_after: seconds since 1970; series that took no file since then are passed over.
    """
    files = {file.path: file for file in spool.scan(changed_after=changed_after)}
    series: dict[str, list[Path]] = {}
    for file in files.values():
        series.setdefault(file.series_uid, []).append(file.path)
    intake.recover(series, lambda path: _received(spool.arrival(files[path])))


def _received(arrival: Arrival) -> Received:
    return Received(
        arrival.path,
        source="receiver",
        calling=arrival.calling,
        called=arrival.called,
        association=arrival.association,
    )


def supervise(settings_file: Path | None, roles: Sequence[Role]) -> None:
    """Run each role in a process of its own and start it again when it ends, until told to end."""
    stop = Stop()
    processes = {role: _start(role, settings_file) for role in roles}
    while not stop.wait(0.2):
        for role, process in processes.items():
            if process.poll() is not None:
                log.error("%s ended with status %s and is started again", role, process.returncode)
                if stop.wait(RESTART_SECONDS):
                    break
                processes[role] = _start(role, settings_file)
    _end(list(processes.values()))


def _start(role: Role, settings_file: Path | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "orchestrator", "serve", "--role", role.value, "--supervisor", str(os.getpid())]
    if settings_file is not None:
        command += ["--settings", str(settings_file)]
    return subprocess.Popen(command)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_with_supervisor(supervisor: int) -> None:
    """Have the kernel tell this process to end when its supervisor dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGTERM)


def show_pages(settings: Settings) -> None:
    """Serve the review pages until told to end."""
    with pages.opened(settings) as app:
        serve_pages(app, host=settings.web.host, port=settings.web.port)


def play(role: Role, settings: Settings) -> None:
    """Be one role until told to end."""
    {Role.RECEIVER: receive, Role.ENGINE: work, Role.WEB: show_pages}[role](settings)
