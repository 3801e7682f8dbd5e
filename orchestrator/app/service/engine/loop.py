"""The role ``engine``: follows what arrives, runs models, delivers results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain

from orchestrator.app.installation import host as hosting
from orchestrator.app.installation.connections import is_read_in_place, watched_archives
from orchestrator.app.installation.paths import deferred_events_of, notification_socket_of, spool_of
from orchestrator.app.installation.periodic import PeriodicTask
from orchestrator.app.service.engine import retention
from orchestrator.app.service.engine.deferred_events import RECORD_SECONDS, record_deferred
from orchestrator.app.service.engine.folder_watch import FolderWatch
from orchestrator.app.service.engine.polling import QueuePolling
from orchestrator.app.service.engine.quiet_period import quiet_period
from orchestrator.app.service.engine.spool_scan import SCAN_SECONDS, SpoolScan
from orchestrator.app.service.shutdown import Stop
from orchestrator.archive import Arrival, Listener
from orchestrator.config import Settings
from orchestrator.domain.clock import utc_now
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.series import Instance
from orchestrator.pipeline.arrival.intake import Intake
from orchestrator.pipeline.jobs.queue import MODEL_QUEUE
from orchestrator.pipeline.review.document_verdicts import TrustedSources, Verdicts
from orchestrator.pipeline.review.documents import ReviewDocuments

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.05
RETENTION_SECONDS = 3600.0


def work(settings: Settings) -> None:
    """Follow what arrives, run models and deliver results until the process is asked to stop."""
    stop = Stop()
    settings.data.folder.mkdir(parents=True, exist_ok=True)
    spool = spool_of(settings)
    spool_scan = SpoolScan(spool)
    with (
        hosting.opened(settings) as host,
        closing(Listener(notification_socket_of(settings))) as listener,
        review_documents(host) as documents,
        PeriodicTask("retention", RETENTION_SECONDS, lambda: make_room(host)),
        PeriodicTask("spool scan", SCAN_SECONDS, spool_scan.scan),
        PeriodicTask(
            "deferred events", RECORD_SECONDS, partial(record_deferred, host.ledger, deferred_events_of(settings))
        ),
        ExitStack() as stack,
    ):
        intake = Intake(
            host.ledger,
            host.routing,
            spool,
            quiet_seconds=quiet_period(settings),
            may_replace=may_replace(settings),
            documents=documents,
        )
        polling = QueuePolling(partial(host.engine.poll_every, MODEL_QUEUE), settings.engine.poll_seconds)
        folders = [archive for _, archive in watched_archives(settings, host.plugins) if is_read_in_place(archive)]
        watches = [stack.enter_context(closing(FolderWatch(archive))) for archive in folders]
        log.info("the engine is ready with models: %s", ", ".join(sorted(host.workers.models())) or "none")
        spool_scan.scan()
        while not stop:
            intake.recover(spool_scan.files())
            for notification in chain(listener.receive(WAIT_SECONDS), new_files(watches)):
                polling.speed_up()
                intake.take(notification)
            intake.advance()
            polling.slow_down()


def may_replace(settings: Settings) -> frozenset[str]:
    """Return whose images replace those of other senders: what this host fetches itself, and trusted senders."""
    trusted = (item.ae_title for item in settings.senders if item.may_replace)
    return frozenset(item.name for item in settings.archives).union(trusted)


def new_files(watches: Iterable[FolderWatch]) -> Iterator[Arrival]:
    """Yield the new files of watched folders."""
    for watch in watches:
        yield from watch.new_files()


@contextmanager
def review_documents(host: hosting.Host) -> Iterator[ReviewDocuments | None]:
    """Give the queue of documents that may hold a verdict; None where the settings trust no source with verdicts."""
    settings = host.settings
    trusted = TrustedSources(
        frozenset(item.name for item in settings.archives if item.verdicts),
        frozenset(item.ae_title for item in settings.senders if item.verdicts),
    )
    if trusted == TrustedSources():
        yield None
        return
    verdicts = Verdicts(
        host.ledger,
        trusted,
        destinations=host.destinations,
        review_changed=host.plugins.review_changed,
        clock=utc_now,
        second_reader=SecondReader(settings.review.second_reader),
    )

    def take(instance: Instance, arrival: Arrival) -> None:
        verdicts.take(instance, source=arrival.source, calling=arrival.calling)

    with closing(ReviewDocuments(take)) as documents:
        yield documents


def make_room(host: hosting.Host) -> int:
    """Return how many old, settled series and results lost their files."""
    settings = host.settings
    outbox = host.folders.outbox
    return retention.make_room(host.ledger, spool_of(settings), outbox, settings.data.retain_days)
