"""The role ``engine``: follows what arrives, runs models, delivers results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from orchestrator.app.installation import host as hosting
from orchestrator.app.installation.connections import connected
from orchestrator.app.installation.paths import deferred_events_of, notification_socket_of, spool_of
from orchestrator.app.installation.periodic import PeriodicTask
from orchestrator.app.service.engine import retention
from orchestrator.app.service.engine.background import Aside
from orchestrator.app.service.engine.deferred_events import RECORD_SECONDS, record_deferred
from orchestrator.app.service.engine.folder_watch import FolderWatch
from orchestrator.app.service.engine.polling import QueuePolling
from orchestrator.app.service.engine.quiet_period import quiet_period
from orchestrator.app.service.engine.spool_scan import SCAN_SECONDS, SpoolScan
from orchestrator.app.service.shutdown import Stop
from orchestrator.archive import Announced, Arrival, Closed, FolderArchive, Listener, Notification, Spool, SpooledFile
from orchestrator.config import Settings
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.series import Instance
from orchestrator.hooks import HostPlugins
from orchestrator.pipeline.intake import Intake, Received
from orchestrator.pipeline.queueing import MODEL_QUEUE
from orchestrator.pipeline.verdicts import TrustedSources, Verdicts

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.05
ROOM_SECONDS = 3600.0


def work(settings: Settings) -> None:
    """Follow what arrives, run models and deliver results until told to end."""
    stop = Stop()
    settings.data.folder.mkdir(parents=True, exist_ok=True)
    spool = spool_of(settings)
    spool_scan = SpoolScan(spool)
    with (
        hosting.opened(settings) as host,
        closing(Listener(notification_socket_of(settings))) as listener,
        verdicts_of(host) as verdict,
        PeriodicTask("retention", ROOM_SECONDS, lambda: make_room(host)),
        PeriodicTask("spool scan", SCAN_SECONDS, spool_scan.scan),
        PeriodicTask(
            "deferred events", RECORD_SECONDS, partial(record_deferred, host.ledger, deferred_events_of(settings))
        ),
        ExitStack() as stack,
    ):
        intake = Intake(
            host.ledger,
            host.routing,
            quiet_seconds=quiet_period(settings),
            held=lambda *series: [file.path for file in spool.series_files(*series)],
            verdict=verdict,
        )
        polling = QueuePolling(partial(host.engine.look_every, MODEL_QUEUE), settings.engine.poll_seconds)
        folders = watched(settings, host.plugins)
        watches = [stack.enter_context(closing(FolderWatch(archive))) for archive in folders]
        log.info("the engine is ready with models: %s", ", ".join(sorted(host.workers.models())) or "none")
        spool_scan.scan()
        while not stop:
            recover(intake, spool, spool_scan.files())
            for notification in listener.receive(WAIT_SECONDS):
                polling.speed_up()
                take(intake, notification)
            for watch in watches:
                for file in watch.new_files():
                    polling.speed_up()
                    intake.received(file)
            intake.advance()
            polling.slow_down()


def take(intake: Intake, notification: Notification) -> None:
    """Pass a notification on to the intake."""
    if isinstance(notification, Announced):
        intake.announced(notification.series_uid, notification.count, notification.reason)
    elif isinstance(notification, Closed):
        intake.closed(
            notification.association,
            released=notification.released,
            sender=notification.calling,
            others_open=notification.others_open,
        )
    else:
        intake.received(_received(notification))


def recover(intake: Intake, spool: Spool, found: Collection[SpooledFile]) -> None:
    """Pass the files of a scan to the intake; their headers say who sent them."""
    files = {file.path: file for file in found}
    series: dict[str, list[Path]] = {}
    for file in files.values():
        series.setdefault(file.series_uid, []).append(file.path)
    intake.recover(series, lambda path: _received(spool.arrival(files[path])))


@contextmanager
def verdicts_of(host: hosting.Host) -> Iterator[Callable[[Instance, Received], bool]]:
    """Give what takes up verdicts from the sources that the settings trust with them; nothing without any."""
    settings = host.settings
    trusted = TrustedSources(
        frozenset(item.name for item in settings.archives if item.verdicts),
        frozenset(item.ae_title for item in settings.senders if item.verdicts),
    )
    if trusted == TrustedSources():
        yield lambda _instance, _way: True
        return
    verdicts = Verdicts(
        host.ledger,
        trusted,
        destinations=host.parts.destinations,
        review_changed=host.plugins.review_changed,
        clock=host.parts.clock,
        second_reader=SecondReader(settings.review.second_reader),
    )
    with closing(Aside(verdicts.take, "verdicts")) as aside:  # to compare two large segmentations takes its time
        yield lambda instance, way: aside.done(instance.path, instance, source=way.source, calling=way.calling)


def watched(settings: Settings, plugins: HostPlugins) -> Iterator[FolderArchive]:
    """Yield the folders that are watched for new series; other archives are watched by a process of their own."""
    for item in settings.archives:
        if item.watch:
            archive = connected(item, plugins, settings)
            if isinstance(archive, FolderArchive):
                yield archive


def make_room(host: hosting.Host) -> int:
    """Return how many old, settled series and results lost their files."""
    settings = host.settings
    outbox = host.parts.folders.outbox
    return retention.make_room(host.ledger, spool_of(settings), outbox, settings.data.retain_days)


def _received(arrival: Arrival) -> Received:
    return Received(
        arrival.path,
        source=arrival.source or "receiver",
        calling=arrival.calling,
        called=arrival.called,
        association=arrival.association,
    )
