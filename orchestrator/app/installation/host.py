"""The host: all parts of one installation, put together from its settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from orchestrator.app.installation.connections import load_plugins, log_refused_plugins, open_archive, start_workers
from orchestrator.app.installation.model_servers import model_servers
from orchestrator.app.installation.paths import lock_folder_of
from orchestrator.app.installation.periodic import PeriodicTask
from orchestrator.app.installation.write_options import write_options
from orchestrator.archive import FolderArchive
from orchestrator.config import DestinationSettings, Settings
from orchestrator.dicom import prewarm
from orchestrator.domain.errors import SettingsError
from orchestrator.domain.hours import Hours
from orchestrator.domain.ports import Archive, Committing
from orchestrator.engine import Engine, Flow, ProcessLock, Queue, role_lock
from orchestrator.hooks import HostPlugins
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.routing import Routing
from orchestrator.pipeline.delivery.attempt import Delivery
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.delivery.dispatch import Dispatcher
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.jobs.inference import Inference
from orchestrator.pipeline.jobs.queue import INFER, MODEL_QUEUE
from orchestrator.pipeline.jobs.reconcile import RECONCILE_SECONDS, Reconciler
from orchestrator.rules import RulesFile
from orchestrator.worker import Workers

log = logging.getLogger(__name__)

DELIVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Host:
    """A running engine with everything it needs."""

    settings: Settings
    ledger: Ledger
    engine: Engine
    workers: Workers
    plugins: HostPlugins
    rules: RulesFile
    destinations: Mapping[str, Destination]
    folders: Folders
    routing: Routing

    def rest_models(self) -> None:
        """End the processes of models that were not used for a while."""
        self.workers.rest_idle(self.settings.worker.idle_seconds)


def data_folders(settings: Settings) -> Folders:
    """Return the folders of volumes and objects."""
    return Folders(scratch=settings.data.folder / "scratch", outbox=settings.data.folder / "outbox")


def destinations_of(settings: Settings, plugins: HostPlugins) -> dict[str, Destination]:
    """Return the destinations that the settings name.

    Raises SettingsError.
    """
    return {item.name: _destination(item, open_archive(item, plugins, settings)) for item in settings.destinations}


def _destination(item: DestinationSettings, archive: Archive) -> Destination:
    if item.confirm == "commitment" and not isinstance(archive, Committing):
        raise SettingsError(
            f'destination {item.name!r}: an archive at {item.url} cannot commit itself; write confirm = "readback"'
        )
    return Destination(
        name=item.name,
        archive=archive,
        ask=item.ask,
        needs_sources=not isinstance(archive, FolderArchive),
        confirm=item.confirm,
        retry_hours=item.retry_hours,
        options=write_options(item),
        hours=Hours.parse(item.window) if item.window else None,
        per_minute=item.per_minute,
    )


@contextmanager
def opened(settings: Settings, destinations: Mapping[str, Destination] | None = None) -> Iterator[Host]:
    """Give a launched host and close it at the end; the next start continues unfinished work.

    destinations: these instead of those in the settings.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(Ledger.open(settings.data.database)))
        servers = model_servers(settings, ledger.events.record, Folders.job_of)
        workers = stack.enter_context(closing(start_workers(settings, servers)))
        log_refused_plugins(workers)
        plugins = load_plugins(workers)
        rules = RulesFile(settings.rules.file, models=workers.models(), extra_facts=plugins.facts)
        if destinations is None:
            destinations = destinations_of(settings, plugins)
        folders = data_folders(settings)
        inference = Inference(ledger, workers, destinations=destinations, folders=folders, observers=plugins)
        delivery = Delivery(ledger, destinations, folders=folders, observers=plugins)
        engine = stack.enter_context(closing(_engine(settings, {INFER: inference})))
        routing = Routing(ledger, engine, runner=workers, rules=rules.current, folders=folders, observers=plugins)
        engine.launch()
        threading.Thread(target=prewarm, name="prewarm", daemon=True).start()  # the first SR would cost 0.9 s more
        host = Host(settings, ledger, engine, workers, plugins, rules, destinations, folders, routing)
        delivery.make_all_due()
        dispatcher = stack.enter_context(closing(_dispatcher(host, delivery)))
        dispatcher.start()
        stack.enter_context(PeriodicTask("deliveries", DELIVERY_SECONDS, dispatcher.poll))
        actions = (*Reconciler(ledger, engine).actions, dispatcher.recover_unknown, host.rest_models)
        stack.enter_context(PeriodicTask("reconciler", RECONCILE_SECONDS, *actions))
        yield host


def _dispatcher(host: Host, delivery: Delivery) -> Dispatcher:
    """Return the dispatcher; of all processes at the database, one sends to a destination."""

    def lock_of(name: str) -> ProcessLock:
        return role_lock(host.settings.data.database, lock_folder_of(host.settings), f"sender-to-{name}")

    return Dispatcher(host.ledger, delivery, host.destinations, lock_of)


def _engine(settings: Settings, flows: Mapping[str, Flow]) -> Engine:
    return Engine(
        settings.data.database,
        executor_id=settings.engine.executor_id,
        lock_folder=lock_folder_of(settings),
        queues=[Queue(MODEL_QUEUE, settings.worker.slots)],
        flows=flows,
        poll_seconds=settings.engine.poll_seconds,
    )
