"""Reads the ledger for commands. Imports little, so that small commands start quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.installation.settings import settings_of
from orchestrator.config import Settings
from orchestrator.database import database_faults
from orchestrator.domain.errors import UserError
from orchestrator.domain.records import (
    DeliveryRecord,
    EventRecord,
    JobRecord,
    ObjectRecord,
    ReviewRecord,
    SeriesRecord,
)
from orchestrator.ledger import Ledger


@dataclass(frozen=True, slots=True)
class JobFile:
    """All records of the ledger about one job."""

    job: JobRecord
    series: SeriesRecord | None
    objects: tuple[ObjectRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    notes: tuple[DeliveryRecord, ...]
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]


def job_file(ledger: Ledger, key: str) -> JobFile:
    """Return all records about a job.

    Raises UnknownRecord if there is no such job.
    """
    job = ledger.jobs.get(key)
    return JobFile(
        job=job,
        series=ledger.series.find(job.series_uid, job.revision),
        objects=ledger.objects.of_job(job.key),
        deliveries=ledger.deliveries.of_job(job.key),
        notes=ledger.withdrawals.notes(job.key),
        reviews=ledger.reviews.of_job(job.key),
        events=ledger.events.after(subject=job.key),
    )


def describe_unreachable(ledger: Ledger) -> dict[str, str]:
    """Return a sentence about each destination that does not answer, by its name."""
    waiting = ledger.destinations.count_waiting()
    return {item.name: item.in_words(waiting.get(item.name, 0)) for item in ledger.destinations.unreachable()}


def count_notes_in_words(ledger: Ledger) -> str:
    """Return the number of rejection notes in each state as text, empty if there are none."""
    return ", ".join(f"{count} {state}" for state, count in ledger.withdrawals.count_notes().items() if count)


@contextmanager
def open_ledger(settings_file: Path | None) -> Iterator[Ledger]:
    """Open the ledger of the settings; close it at the end.

    Raises UserError if there is none.
    """
    with database_faults(), closing(ledger_of(settings_of(settings_file))) as ledger:
        yield ledger


def ledger_exists(settings: Settings) -> bool:
    """Return whether the ledger exists; one on a database server counts as existing."""
    file = settings.data.database.removeprefix("sqlite:///")
    return file == settings.data.database or Path(file).exists()


def ledger_of(settings: Settings) -> Ledger:
    """Return the ledger of the settings.

    Raises UserError if it does not exist. A new one would say "no jobs" to a user in the wrong folder.
    """
    if not ledger_exists(settings):
        file = settings.data.database.removeprefix("sqlite:///")
        raise UserError(
            f"no ledger at {file}; start the service with orchestrator serve, or name its settings with --settings FILE"
        )
    return Ledger.open(settings.data.database)
