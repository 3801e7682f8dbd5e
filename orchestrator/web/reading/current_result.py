"""A result as it stands now: corrections applied, and a first verdict hidden from the second reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.correction import Entry, corrected
from orchestrator.domain.records import EventRecord, JobRecord, ReviewRecord
from orchestrator.domain.review import VERDICTS, ReviewState
from orchestrator.pipeline.review.verdict import ReviewedResult
from orchestrator.web.site import Site


@dataclass(frozen=True, slots=True)
class VisibleReviews:
    """The reviews of a result, oldest first, as far as they may be shown.

    result: with all of its reviews. first: the first verdict, where the result awaits a second reader; it is not
    shown where ``hidden``.
    """

    result: ReviewedResult
    reviews: tuple[ReviewRecord, ...]
    events: tuple[EventRecord, ...]
    first: ReviewRecord | None
    hidden: bool

    @property
    def warnings(self) -> tuple[EventRecord, ...]:
        """Changes of the study or series since the result was made that a reviewer must know."""
        return tuple(event for event in self.events if event.kind in _WARNINGS)

    @property
    def corrected_to(self) -> Mapping[str, object]:
        """The corrected values: place of the value -> value."""
        correction = self.result.correction
        changes = correction.changes if correction else ()
        return {str(change["at"]): change["after"] for change in changes if "at" in change}


def visible_reviews(site: Site, result: ReviewedResult) -> VisibleReviews:
    """Return the reviews of a result as far as they may be shown."""
    reviews, events = result.reviews, open_events(site, result.job.key, result.newest)
    if result.newest.state is not ReviewState.SECOND_READER:
        return VisibleReviews(result, reviews, events, None, hidden=False)
    first = next((each for each in reversed(reviews) if each.state in VERDICTS), None)
    hidden = site.reading.blinded
    visible = tuple(each for each in reviews if not (hidden and each is first))
    return VisibleReviews(result, visible, events, first, hidden)


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
