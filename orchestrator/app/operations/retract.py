"""Retracts the results of a faulty model, one by one, so that an interrupted retraction can be repeated.

A running service sends the rejection notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.app.installation.connections import load_plugins, open_archive, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.installation.settings import settings_of
from orchestrator.database import database_faults
from orchestrator.dicom import identity_of
from orchestrator.domain.errors import ArchiveError, UserError
from orchestrator.domain.job import JobState
from orchestrator.domain.ports import Archive
from orchestrator.domain.records import ARRIVED, JobRecord, RetractionRecord
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.review.verdict import ReviewChanged


@dataclass(frozen=True, slots=True)
class RetractedResult:
    """One result that a retraction covers. is_new: whether this retraction is the first to retract it.

    accession_number: None where nobody knows it now; accession_from: where it was found.
    sent_to: the destinations that received objects of it; each gets a rejection note. was: its review until then.
    """

    job_key: str
    study_uid: str
    accession_number: str | None
    accession_from: str
    sent_to: tuple[str, ...]
    was: ReviewState
    is_new: bool


@dataclass(frozen=True, slots=True)
class Retraction:
    """A retraction and the results that it covers; every step may be repeated.

    archives: the destinations of the settings, asked for an accession number that no file here holds.
    review_changed: called with the job and its review before and after.
    """

    ledger: Ledger
    order: RetractionRecord
    archives: Mapping[str, Archive] = field(default_factory=dict)
    review_changed: ReviewChanged = lambda *_: None
    _silent: set[str] = field(default_factory=set)

    def begin(self, *, dry_run: bool = False) -> tuple[JobRecord, ...]:
        """Record the order, unless this is a dry run, and return the jobs that it stops.

        Waiting jobs are held now, running ones when they end.
        Raises UserError for an unknown version, wrong times, or a missing reason, name or organisation.
        """
        self._check()
        stopped = self._stopped()
        if not dry_run:
            self.ledger.withdrawals.order(self.order)
        return stopped

    def _check(self) -> None:
        for text, what in (
            (self.order.reason, "a reason"),
            (self.order.by, "a name"),
            (self.order.organization, "an organisation"),
        ):
            if not text.strip():
                raise UserError(f"a retraction needs {what}")
        if self.order.since and self.order.until and self.order.since > self.order.until:
            raise UserError("the time of a retraction ends before it begins")
        versions = self.ledger.withdrawals.versions_of(self.order.model)
        if self.order.model_version not in versions:
            known = ", ".join(versions) or "none"
            raise UserError(
                f"no job of {self.order.model!r} {self.order.model_version!r} is known; its versions are: {known}"
            )

    def results(self) -> tuple[str, ...]:
        """Return the keys of the results' jobs, the oldest first, earlier retracted ones included."""
        order = self.order
        return self.ledger.withdrawals.results_of(
            order.model, order.model_version, since=order.since, until=order.until
        )

    def _stopped(self) -> tuple[JobRecord, ...]:
        if self.order.until is not None:
            return ()
        states = (JobState.WAITING, JobState.RUNNING)
        found = self.ledger.jobs.search(states=states, model=self.order.model, limit=1_000_000)
        return tuple(job for job in found if job.model_version == self.order.model_version)

    def preview(self, key: str) -> RetractedResult:
        """Return what the retraction would do with a result; nothing is changed."""
        review = self.ledger.reviews.newest(key)
        was = ReviewState.PENDING if review is None else review.state
        return self._result(self.ledger.jobs.get(key), was, is_new=was is not ReviewState.RETRACTED)

    def retract(self, key: str) -> RetractedResult:
        """Retract a result and return it; one that was retracted before stays as it is."""
        job, before = self.ledger.jobs.get(key), self.ledger.reviews.newest(key)
        after = self.order.verdict_on(key)
        is_new = self.ledger.withdrawals.retract(after)
        if is_new and before is not None:
            self.review_changed(job, before, after)
        return self._result(job, ReviewState.PENDING if before is None else before.state, is_new=is_new)

    def _result(self, job: JobRecord, was: ReviewState, *, is_new: bool) -> RetractedResult:
        ways = self.ledger.deliveries.of_job(job.key)
        sent = tuple(row.destination for row in ways if row.sent_at is not None or row.state in ARRIVED)
        number, source = self._accession(job)
        return RetractedResult(job.key, job.study_uid, number, source, sent, was, is_new)

    def _accession(self, job: JobRecord) -> tuple[str | None, str]:
        """Return the accession number and where it was found: in the outbox, else in an archive."""
        for item in self.ledger.objects.of_job(job.key):
            if item.path.exists():
                return identity_of(item.path).accession_number, "outbox"
        for row in self.ledger.deliveries.of_job(job.key):
            archive = self.archives.get(row.destination)
            if archive is None or row.destination in self._silent:
                continue
            try:
                held = archive.identity(job.study_uid)
            except ArchiveError:
                self._silent.add(row.destination)  # it is asked once, not once for each result
                continue
            if held is not None:
                return held.accession_number, row.destination
        return None, "the files are gone, and no archive knows it"


@contextmanager
def open_retraction(settings_file: Path | None, order: RetractionRecord) -> Iterator[Retraction]:
    """Give the retraction with ledger, destinations and plugins of the settings."""
    settings = settings_of(settings_file)
    with database_faults(), closing(ledger_of(settings)) as ledger, closing(start_workers(settings)) as workers:
        plugins = load_plugins(workers)
        archives = {item.name: open_archive(item, plugins, settings) for item in settings.destinations if item.ask}
        yield Retraction(ledger, order, archives, plugins.review_changed)
