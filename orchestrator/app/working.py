"""The role ``engine``: follows what arrives, runs models, delivers results."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from orchestrator.app import host as hosting
from orchestrator.app import retention
from orchestrator.app.attention import Attention
from orchestrator.app.places import doorbell_of, spool_of
from orchestrator.app.pulse import Pulse
from orchestrator.app.sources import connected
from orchestrator.app.stopping import Stop
from orchestrator.app.watch import FolderWatch
from orchestrator.archive import Arrival, Closed, FolderArchive, Listener, Spool
from orchestrator.config import Settings
from orchestrator.domain.errors import SettingsError
from orchestrator.hooks import HostPlugins
from orchestrator.pipeline.intake import Intake, Received
from orchestrator.pipeline.queueing import MODEL_QUEUE

log = logging.getLogger(__name__)

HEAR_SECONDS = 0.05
ROOM_SECONDS = 3600.0
RESCAN_SECONDS = 60.0


def work(settings: Settings) -> None:
    """Follow what arrives, run models and deliver results until told to end."""
    stop = Stop()
    settings.data.folder.mkdir(parents=True, exist_ok=True)
    with (
        hosting.opened(settings) as host,
        closing(Listener(doorbell_of(settings))) as listener,
        Pulse("retention", ROOM_SECONDS, lambda: make_room(host)),
    ):
        spool, last_scan = spool_of(settings), 0.0
        intake = Intake(
            host.ledger,
            host.routing,
            quiet_seconds=settings.receiver.quiet_seconds,
            held=lambda *series: [file.path for file in spool.series_files(*series)],
        )
        attention = Attention(partial(host.engine.look_every, MODEL_QUEUE), settings.engine.poll_seconds)
        watches = [FolderWatch(archive) for archive in watched(settings, host.plugins)]
        log.info("the engine is ready with models: %s", ", ".join(sorted(host.workers.models())) or "none")
        while not stop:
            if time.time() >= last_scan + RESCAN_SECONDS:
                begun = time.time()
                recover(intake, spool, changed_after=last_scan - RESCAN_SECONDS)
                last_scan = begun
            for note in listener.hear(HEAR_SECONDS):
                attention.rouse()
                take(intake, note)
            for watch in watches:
                for file in watch.new_files():
                    attention.rouse()
                    intake.received(file)
            intake.advance()
            attention.settle()


def take(intake: Intake, note: Arrival | Closed) -> None:
    """Tell the intake what the receiver rang for."""
    if isinstance(note, Closed):
        intake.closed(note.association, released=note.released, sender=note.calling, others_open=note.others_open)
    else:
        intake.received(_received(note))


def recover(intake: Intake, spool: Spool, changed_after: float = 0.0) -> None:
    """Take up what the spool holds and nobody rang for; the files themselves tell who sent them.

    changed_after: seconds since 1970; series that took no file since then are passed over.
    """
    files = {file.path: file for file in spool.scan(changed_after=changed_after)}
    series: dict[str, list[Path]] = {}
    for file in files.values():
        series.setdefault(file.series_uid, []).append(file.path)
    intake.recover(series, lambda path: _received(spool.arrival(files[path])))


def watched(settings: Settings, plugins: HostPlugins) -> Iterator[FolderArchive]:
    """Yield the folder archives that are watched for new series.

    Raises SettingsError.
    """
    for item in settings.archives:
        if item.watch:
            archive = connected(item, plugins)
            if not isinstance(archive, FolderArchive):
                raise SettingsError(f"archive {item.name!r} cannot be watched; only file:// folders can")
            yield archive


def make_room(host: hosting.Host) -> int:
    """Return how many old, settled series and results lost their files."""
    settings = host.settings
    outbox = host.parts.folders.outbox
    return retention.make_room(host.ledger, spool_of(settings), outbox, settings.data.retain_days)


def _received(arrival: Arrival) -> Received:
    return Received(
        arrival.path,
        source="receiver",
        calling=arrival.calling,
        called=arrival.called,
        association=arrival.association,
    )
