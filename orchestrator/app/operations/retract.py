"""Taking back what a faulty model wrote: result by result in the ledger, so that a killed order can be given again.

A running service sends the notes that follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.app.installation.connections import connected, load_plugins, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.installation.settings import settings_of
from orchestrator.database import database_faults
from orchestrator.dicom import identity_of
from orchestrator.domain.errors import ArchiveError, UserError
from orchestrator.domain.job import JobState
from orchestrator.domain.ports import Archive
from orchestrator.domain.records import ARRIVED, JobRecord, RetractionRecord, ReviewRecord
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Retracted:
    """One result that an order is about, and whether the order is what took it back.

    accession_number: None where nobody knows it now; accession_from: who says so.
    sent_to: the destinations that took objects of it, each of which gets a note. was: what was said of it until then.
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
    """An order and the results that it is about; every step may be repeated.

    archives: the destinations of the settings, asked for an accession number that no file here says.
    tell: is given the job and its review before and after.
    """

    ledger: Ledger
    order: RetractionRecord
    archives: Mapping[str, Archive] = field(default_factory=dict)
    tell: Callable[[JobRecord, ReviewRecord, ReviewRecord], None] = lambda *_: None
    _silent: set[str] = field(default_factory=set)

    def begin(self, *, dry_run: bool = False) -> tuple[JobRecord, ...]:
        """Keep the order, unless it is only to be looked at, and return the jobs that it stops.

        They wait and are held, or run and are held when they have ended. Raises UserError for an unknown version.
        """
        self._check()
        stopped = self._stopped()
        if not dry_run:
            self.ledger.withdrawals.order(self.order)
        return stopped

    def _check(self) -> None:
        if self.order.since and self.order.until and self.order.since > self.order.until:
            raise UserError("the time of a retraction ends before it begins")
        versions = self.ledger.withdrawals.versions_of(self.order.model)
        if self.order.model_version not in versions:
            known = ", ".join(versions) or "none"
            raise UserError(
                f"no job of {self.order.model!r} {self.order.model_version!r} is known; its versions are: {known}"
            )

    def results(self) -> tuple[str, ...]:
        """Return the keys of the results' jobs, the oldest first, those that were retracted before too."""
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

    def look_at(self, key: str) -> Retracted:
        """Return what the order is about, and take nothing back."""
        review = self.ledger.reviews.newest(key)
        was = ReviewState.PENDING if review is None else review.state
        return self._told(self.ledger.jobs.get(key), was, is_new=was is not ReviewState.RETRACTED)

    def take_back(self, key: str) -> Retracted:
        """Return what was taken back; a result that was before stays so."""
        job, before = self.ledger.jobs.get(key), self.ledger.reviews.newest(key)
        after = self.order.verdict_on(key)
        is_new = self.ledger.withdrawals.retract(after)
        if is_new and before is not None:
            self.tell(job, before, after)
        return self._told(job, ReviewState.PENDING if before is None else before.state, is_new=is_new)

    def _told(self, job: JobRecord, was: ReviewState, *, is_new: bool) -> Retracted:
        ways = self.ledger.deliveries.of_job(job.key)
        sent = tuple(row.destination for row in ways if row.sent_at is not None or row.state in ARRIVED)
        number, source = self._accession(job)
        return Retracted(job.key, job.study_uid, number, source, sent, was, is_new)

    def _accession(self, job: JobRecord) -> tuple[str | None, str]:
        """Return the accession number and who says so: a file of the result, else an archive that holds the study."""
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
        return None, "the files are gone, and no archive says it"


@contextmanager
def opened(path: Path | None, order: RetractionRecord) -> Iterator[Retraction]:
    """Give the order over the ledger, the destinations and the plugins that the settings name."""
    settings = settings_of(path)
    with database_faults(), closing(ledger_of(settings)) as ledger, closing(start_workers(settings)) as workers:
        plugins = load_plugins(workers)
        archives = {item.name: connected(item, plugins, settings) for item in settings.destinations if item.ask}
        yield Retraction(ledger, order, archives, plugins.review_changed)
