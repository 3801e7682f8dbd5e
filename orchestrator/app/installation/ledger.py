"""What the ledger holds, for people to look at; light to load, so that small commands start quickly."""

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
    """Everything the ledger holds about one job."""

    job: JobRecord
    series: SeriesRecord | None
    objects: tuple[ObjectRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    notes: tuple[DeliveryRecord, ...]
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]


def job_file(ledger: Ledger, key: str) -> JobFile:
    """Return all about a job.

    Raises UnknownRecord.
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


def destinations_away(ledger: Ledger) -> dict[str, str]:
    """Return what to tell of each destination that does not answer, by its name."""
    waiting = ledger.destinations.count_waiting()
    return {away.name: away.in_words(waiting.get(away.name, 0)) for away in ledger.destinations.unreachable()}


def notes_in_words(ledger: Ledger) -> str:
    """Return how the notes stand that reject delivered results, empty where there are none."""
    return ", ".join(f"{count} {state}" for state, count in ledger.withdrawals.count_notes().items() if count)


@contextmanager
def opened(settings_file: Path | None) -> Iterator[Ledger]:
    """Give the ledger that the settings name."""
    with database_faults(), closing(ledger_of(settings_of(settings_file))) as ledger:
        yield ledger


def ledger_exists(settings: Settings) -> bool:
    """Return whether the service made a ledger; one on a database server counts as made."""
    file = settings.data.database.removeprefix("sqlite:///")
    return file == settings.data.database or Path(file).exists()


def ledger_of(settings: Settings) -> Ledger:
    """Return the ledger that the service made.

    Raises UserError where there is none: whoever asks in the wrong folder must not read "no jobs".
    """
    if not ledger_exists(settings):
        file = settings.data.database.removeprefix("sqlite:///")
        raise UserError(
            f"there is no ledger at {file}: orchestrator serve makes it; name other settings with --settings FILE"
        )
    return Ledger.open(settings.data.database)
