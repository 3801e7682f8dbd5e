"""A result as it stands now: corrections applied, and a first verdict hidden from the second reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.correction import Entry, corrected
from orchestrator.domain.records import EventRecord, JobRecord, ReviewRecord
from orchestrator.domain.review import VERDICTS, ReviewState
from orchestrator.web.site import Site


@dataclass(frozen=True, slots=True)
class Judged:
    """The reviews of a result, oldest first, as far as they may be shown.

    first: the first verdict, where the result awaits a second reader; it is not shown where ``hidden``.
    """

    review: ReviewRecord
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]
    first: ReviewRecord | None
    hidden: bool

    @property
    def warnings(self) -> tuple[EventRecord, ...]:
        """Changes of the study or series since the result was made that a reviewer must know."""
        return tuple(event for event in self.events if event.kind in _WARNINGS)

    @property
    def opposed(self) -> tuple[ReviewRecord, ...]:
        """The two verdicts that differ, where the readers disagree."""
        verdicts = [each for each in self.reviews if each.state in VERDICTS]
        return tuple(verdicts[-2:]) if self.review.state is ReviewState.DISAGREED else ()

    @property
    def correction(self) -> ReviewRecord | None:
        """The correction to start from: the current one, or the later of two that differ."""
        if self.review.state is ReviewState.CORRECTED:
            return self.review
        return next((each for each in reversed(self.opposed) if each.state is ReviewState.CORRECTED), None)

    @property
    def corrected_to(self) -> Mapping[str, object]:
        """The corrected values: place of the value -> value."""
        changes = self.correction.changes if self.correction else ()
        return {str(change["at"]): change["after"] for change in changes if "at" in change}

    @property
    def unconfirmed(self) -> bool:
        """Whether a reader may confirm the correction as it is."""
        correction = self.correction
        return correction is not None and (correction.unconfirmed or self.review.state is ReviewState.DISAGREED)


def judged(site: Site, job: JobRecord, review: ReviewRecord) -> Judged:
    """Return the reviews of a result as far as they may be shown."""
    reviews, events = site.ledger.reviews.of_job(job.key), open_events(site, job.key, review)
    if review.state is not ReviewState.SECOND_READER:
        return Judged(review, reviews, events, None, hidden=False)
    first = next((each for each in reversed(reviews) if each.state in VERDICTS), None)
    hidden = site.reading.blinded
    visible = tuple(each for each in reviews if not (hidden and each is first))
    return Judged(review, visible, events, first, hidden)


def open_events(site: Site, job_key: str, review: ReviewRecord | None) -> tuple[EventRecord, ...]:
    """Return the job's events; the event of the first verdict is left out while it is hidden."""
    events = site.ledger.events.after(subject=job_key)
    if review is None or review.state is not ReviewState.SECOND_READER or not site.reading.blinded:
        return events
    verdict = next((each for each in reversed(events) if each.kind in _VERDICT_EVENTS), None)
    return tuple(each for each in events if each is not verdict)


def findings_of(job: JobRecord, review: ReviewRecord) -> tuple[Entry, ...]:
    """Return the findings with the newest corrections applied."""
    return corrected("findings", job.findings, review.changes)


def measurements_of(job: JobRecord, review: ReviewRecord) -> tuple[Entry, ...]:
    """Return the measurements with the newest corrections applied."""
    return corrected("measurements", job.measurements, review.changes)


_VERDICT_EVENTS = frozenset(f"review.{state}" for state in VERDICTS)
_WARNINGS = frozenset({"identity-changed", "result-stale"})
