"""What the ledger holds, for people to look at; light to load, so that small commands start quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.choice import settings_of
from orchestrator.domain.records import (
    DeliveryRecord,
    EventRecord,
    JobRecord,
    ObjectRecord,
    ReviewRecord,
    SeriesRecord,
)
from orchestrator.jobs import Ledger


@dataclass(frozen=True, slots=True)
class JobFile:
    """Everything the ledger holds about one job."""

    job: JobRecord
    series: SeriesRecord | None
    objects: tuple[ObjectRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]


def job_file(ledger: Ledger, key: str) -> JobFile:
    """Return all about a job.

    Raises UnknownRecord.
    """
    job = ledger.job(key)
    return JobFile(
        job=job,
        series=ledger.series(job.series_uid, job.revision),
        objects=ledger.objects(job.key),
        deliveries=ledger.deliveries(job.key),
        reviews=ledger.reviews(job.key),
        events=ledger.events(subject=job.key),
    )


@contextmanager
def opened(settings_file: Path | None) -> Iterator[Ledger]:
    """Give the ledger that the settings name."""
    with closing(Ledger.open(settings_of(settings_file).data.database)) as ledger:
        yield ledger
