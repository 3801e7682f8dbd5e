"""The role ``web``: the review pages for the ledger of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from orchestrator.app.installation.connections import load_plugins, start_workers
from orchestrator.app.installation.paths import notification_socket_of, spool_of
from orchestrator.app.installation.write_options import options_of
from orchestrator.app.service.ohif import open_ohif
from orchestrator.app.service.readiness import faults
from orchestrator.archive import Notifier, Stow, storage_classes
from orchestrator.config import Settings
from orchestrator.dicom import Overlay, parameters
from orchestrator.domain.reading import ReadingPolicy, SecondReader
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.control import JobControl
from orchestrator.web import ModelCardText, Take, create_app
from orchestrator.web import serve as serve_pages
from orchestrator.worker import Workers

CARD = "MODEL_CARD.md"


class ResultPictures:
    """Opens the overlay of a result from its source files and its objects."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def open(self, job_key: str) -> Overlay:
        """Return the overlay of a result.

        Raises OrchestratorError or OSError if a file is missing or damaged.
        """
        job = self._ledger.jobs.get(job_key)
        sources = [row.path for row in self._ledger.series.instances(job.series_uid, job.revision) if row.is_read]
        return Overlay.open(sources, [item.path for item in self._ledger.objects.of_job(job.key)])

    def parameters(self, job_key: str) -> Mapping[str, str]:
        """Return the parameters of the model, read from the SR of the result.

        Raises OrchestratorError or OSError if a file is missing or damaged.
        """
        return parameters(self._ledger.objects.of_job(job_key))


@contextmanager
def open_pages(settings: Settings) -> Iterator[FastAPI]:
    """Open the review pages for the ledger of the settings; close everything at the end."""
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(Ledger.open(settings.data.database)))
        client = stack.enter_context(closing(Client(settings.data.database)))
        with closing(start_workers(settings)) as workers:  # needed only to read the model cards
            cards, plugins = model_cards(workers), load_plugins(workers)
        jobs = JobControl(ledger, client, destinations=options_of(settings))

        yield create_app(
            ledger,
            pictures=ResultPictures(ledger),
            models=cards,
            retry=lambda key, by: jobs.retry(key, by=by),
            cancel=lambda key, by: jobs.cancel(key, by=by),
            review_changed=plugins.review_changed,
            reading=ReadingPolicy(SecondReader(settings.review.second_reader), settings.review.blinded),
            take=stack.enter_context(open_stow(settings)),
            ohif_viewer=stack.enter_context(open_ohif(settings)),
            archives={item.name: item.watch for item in settings.archives},
            ready=partial(faults, settings),
        )


@contextmanager
def open_stow(settings: Settings) -> Iterator[Take | None]:
    """Give the function that stores images sent over HTTP and notifies the engine, None if it is switched off."""
    if not settings.web.stow or not settings.receiver.enabled:
        yield None
        return
    with closing(Notifier(notification_socket_of(settings))) as notifier:
        yield Stow(spool_of(settings), storage_classes(settings.receiver.accept), notifier.notify).take


def model_cards(workers: Workers) -> Mapping[str, ModelCardText]:
    """Return description and card of each model; the card is empty if the model has none."""
    return {
        name: ModelCardText(description, _read_card(workers.catalogue_entry(name).source.folders))
        for name, description in workers.models().items()
    }


def _read_card(folders: tuple[Path, ...]) -> str:
    files = (folder / CARD for folder in folders)
    return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")


def show(settings: Settings) -> None:
    """Serve the review pages until told to stop."""
    with open_pages(settings) as app:
        serve_pages(app, host=settings.web.host, port=settings.web.port)
