"""The role ``watcher``: polls archives, fetches series that a rule may match, and executes backfills."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from orchestrator.app.installation.connections import (
    find_searchable,
    is_read_in_place,
    load_plugins,
    start_workers,
    watched_archives,
)
from orchestrator.app.installation.paths import lock_folder_of, notification_socket_of, spool_of
from orchestrator.app.service.shutdown import Stop
from orchestrator.archive import Notifier, Spool, SpoolInbox
from orchestrator.backoff import Backoff
from orchestrator.config import ArchiveSettings, Settings
from orchestrator.domain.clock import utc_now
from orchestrator.domain.errors import OrchestratorError, SettingsError
from orchestrator.domain.ports import Archive, Readable, Watchable
from orchestrator.engine import ProcessLock, describe, role_lock
from orchestrator.hooks import HostPlugins
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching.backfill import Backfilling, PastArchive
from orchestrator.pipeline.fetching.fetch import Fetching, resume_fetches
from orchestrator.pipeline.fetching.watch import Watch
from orchestrator.rules import RulesFile

log = logging.getLogger(__name__)

ORTHANC_LOOK_SECONDS = 1.0
LOOK_SECONDS = 10.0
RETRIES = Backoff(1.0, 60.0)
FORGET_SECONDS = 3600.0
STANDBY_SECONDS = 5.0
END_SECONDS = 10.0


def watch(settings: Settings) -> None:
    """Poll the watched archives and execute backfills until the process is asked to stop.

    One process does so for a database; a second one stands by and takes over when the first ends.
    Raises SettingsError where an archive cannot be watched, OrchestratorError where another process took over.
    """
    stop = Stop()
    lock = role_lock(settings.data.database, lock_folder_of(settings), "watcher")
    if _acquire(lock, stop):
        try:
            with _opened(settings) as tools:
                _run(tools, lock, stop)
        finally:
            lock.release()


def _acquire(lock: ProcessLock, stop: Stop) -> bool:
    """Return True once no other process watches, False where this one is asked to stop before."""
    wait = 0.0
    while not stop.wait(wait):
        if lock.acquire():
            return True
        if not wait:
            log.warning(
                "another watcher is active for this database; this one is on standby and takes over when the other ends"
            )
        wait = STANDBY_SECONDS
    return False


def _run(tools: _Tools, lock: ProcessLock, stop: Stop) -> None:
    settings = tools.settings
    archives = watched_archives(settings, tools.plugins)
    watches = [tools.watch(item, archive) for item, archive in archives if not is_read_in_place(archive)]
    tools.resume_fetches()
    threads = [_thread(partial(_follow, one, stop), one.name) for one in watches]
    threads.append(_thread(partial(_execute, tools.backfilling(), stop), "backfill"))
    log.info("the watcher is ready; it watches: %s", ", ".join(one.name for one in watches) or "nothing")
    forgets_at = time.monotonic()
    while not stop.wait(STANDBY_SECONDS):
        if not lock.keep():
            raise OrchestratorError("the database restarted and another watcher is active for it now")
        if time.monotonic() >= forgets_at:
            tools.ledger.fetches.forget(utc_now() - timedelta(days=settings.data.retain_days))
            forgets_at += FORGET_SECONDS
    deadline = time.monotonic() + END_SECONDS  # a fetch that does not end by then is repeated
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _Tools:
    """What the threads share; each has an archive object of its own, since a call may take minutes."""

    settings: Settings
    plugins: HostPlugins
    ledger: Ledger
    rules: RulesFile
    spool: Spool
    notifier: Notifier

    def watch(self, item: ArchiveSettings, archive: Archive) -> Watch:
        """Return the watch of an archive.

        Raises SettingsError.
        """
        if not isinstance(archive, Watchable) or not isinstance(archive, Readable):
            raise SettingsError(
                f"archive {item.name!r} cannot be watched: {item.url.partition(':')[0]} reports no new series; "
                "remove watch = true, and let the archive send its images to the receiver"
            )
        seconds = item.look_seconds or (ORTHANC_LOOK_SECONDS if item.url.startswith("orthanc") else LOOK_SECONDS)
        return Watch(
            archive,
            self.ledger,
            self.rules.current,
            self.fetching(archive, item.name),
            look_seconds=seconds,
            verdicts=item.verdicts,
        )

    def backfilling(self) -> Backfilling:
        """Return what executes the backfills of all archives."""
        roomy = Spool(self.spool.folder, minimum_free_mb=2 * self.settings.receiver.minimum_free_mb)
        return Backfilling(self.ledger, self.rules.current, self.past, check_space=roomy.check_space)

    def past(self, name: str) -> PastArchive:
        """Return an archive to backfill from.

        Raises UserError where the settings name no such archive, or it cannot be searched.
        """
        archive, item = find_searchable(self.settings, self.plugins, name)
        return PastArchive(archive, self.fetching(archive, name), is_watched=item.watch)

    def fetching(self, archive: Readable, name: str) -> Fetching:
        """Return what fetches its series into the spool."""
        return Fetching(archive, self.ledger, partial(self._inbox, name))

    def resume_fetches(self) -> None:
        """Make the fetches of a killed process wait again."""
        moving = {item.name for item in self.settings.archives if item.url.startswith("dimse")}
        resume_fetches(self.ledger, self._inbox, moving)

    def _inbox(self, source: str, series_uid: str) -> SpoolInbox:
        return SpoolInbox(self.spool, source=source, series_uid=series_uid, notify=self.notifier.notify)


@contextmanager
def _opened(settings: Settings) -> Iterator[_Tools]:
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(Ledger.open(settings.data.database)))
        notifier = stack.enter_context(closing(Notifier(notification_socket_of(settings))))
        with closing(start_workers(settings)) as workers:  # only lists the plugins; no model runs here
            plugins = load_plugins(workers)
            rules = RulesFile(settings.rules.file, extra_facts=plugins.facts)
        yield _Tools(settings, plugins, ledger, rules, spool_of(settings), notifier)


def _thread(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _follow(one: Watch, stop: Stop) -> None:
    """Take turns until the process is asked to stop; after failures, wait longer and longer."""
    wait, failures = 0.0, 0
    while not stop.wait(wait):
        try:
            wait, failures = one.turn(), 0
        except Exception as fault:  # noqa: BLE001  # the archive's thread must not end
            failures += 1
            wait = RETRIES.seconds(failures)
            _record_failure(one, fault, wait)


def _record_failure(one: Watch, fault: Exception, retry_seconds: float) -> None:
    reason = str(fault) if isinstance(fault, OrchestratorError) else describe(fault)
    log.warning("watch of %s failed (%s); retrying in %g s", one.name, reason, retry_seconds)
    try:
        one.record_failure(reason)
    except Exception as error:  # noqa: BLE001  # the ledger itself may be the fault
        log.warning("cannot record in the ledger that the watch of %s failed: %s", one.name, describe(error))


def _execute(backfilling: Backfilling, stop: Stop) -> None:
    wait = 0.0
    while not stop.wait(wait):
        try:
            wait = backfilling.turn()
        except Exception as fault:  # noqa: BLE001  # the thread must not end
            wait = RETRIES.longest_seconds
            log.warning("backfills failed (%s); retrying in %g s", describe(fault), wait)
