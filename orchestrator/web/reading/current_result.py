"""A result as it reads now: with what people corrected, without what a second reader must not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.correction import Entry, corrected
from orchestrator.domain.records import EventRecord, JobRecord, ReviewRecord
from orchestrator.domain.review import VERDICTS, ReviewState
from orchestrator.web.site import Site


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said about a result, oldest first, and what may be shown of it.

    first: who read it first, where it waits for a second reader; what they said stays hidden where ``hidden``.
    """

    review: ReviewRecord
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]
    first: ReviewRecord | None
    hidden: bool

    @property
    def warnings(self) -> tuple[EventRecord, ...]:
        """What happened to the study or the series since the result was made that a reviewer must know."""
        return tuple(event for event in self.events if event.kind in _WARNINGS)

    @property
    def opposed(self) -> tuple[ReviewRecord, ...]:
        """The two verdicts that differ, where the readers disagree."""
        given = [each for each in self.reviews if each.state in VERDICTS]
        return tuple(given[-2:]) if self.review.state is ReviewState.DISAGREED else ()

    @property
    def correction(self) -> ReviewRecord | None:
        """The correction that the next one goes on from: the one that stands, or the last of two that differ."""
        if self.review.state is ReviewState.CORRECTED:
            return self.review
        return next((each for each in reversed(self.opposed) if each.state is ReviewState.CORRECTED), None)

    @property
    def corrected_to(self) -> Mapping[str, object]:
        """What stands now in the place of the model's values: place of the value -> value."""
        made = self.correction.changes if self.correction else ()
        return {str(change["at"]): change["after"] for change in made if "at" in change}

    @property
    def unconfirmed(self) -> bool:
        """Whether a person here may make a correction theirs as it is."""
        correction = self.correction
        return correction is not None and (correction.unconfirmed or self.review.state is ReviewState.DISAGREED)


def judged(site: Site, job: JobRecord, review: ReviewRecord) -> Judged:
    """Return what may be shown of the verdicts on a result."""
    reviews, events = site.ledger.reviews.of_job(job.key), open_events(site, job.key, review)
    if review.state is not ReviewState.SECOND_READER:
        return Judged(review, reviews, events, None, hidden=False)
    first = next((each for each in reversed(reviews) if each.state in VERDICTS), None)
    hidden = site.reading.blinded
    shown = tuple(each for each in reviews if not (hidden and each is first))
    return Judged(review, shown, events, first, hidden)


def open_events(site: Site, job_key: str, review: ReviewRecord | None) -> tuple[EventRecord, ...]:
    """Return the job's events, without the one that tells a second reader what the first one said."""
    events = site.ledger.events.after(subject=job_key)
    if review is None or review.state is not ReviewState.SECOND_READER or not site.reading.blinded:
        return events
    told = next((each for each in reversed(events) if each.kind in _VERDICT_EVENTS), None)
    return tuple(each for each in events if each is not told)


def findings_of(job: JobRecord, review: ReviewRecord) -> tuple[Entry, ...]:
    """Return the findings as they read after the newest verdict."""
    return corrected("findings", job.findings, review.changes)


def measurements_of(job: JobRecord, review: ReviewRecord) -> tuple[Entry, ...]:
    """Return the measurements as they read after the newest verdict."""
    return corrected("measurements", job.measurements, review.changes)


_VERDICT_EVENTS = frozenset(f"review.{state}" for state in VERDICTS)
_WARNINGS = frozenset({"identity-changed", "result-stale"})
