"""The worklist: AI results awaiting review, most urgent first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import DeliveryRecord, JobRecord, ReviewRecord
from orchestrator.domain.review import ReviewState
from orchestrator.domain.urgency import entry_rank
from orchestrator.web import wording
from orchestrator.web.reading.current_result import findings_of, measurements_of
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf
from orchestrator.web.views import ALL, StateFilter, View, ViewOf

router = APIRouter(dependencies=[needs(Permission.SEE)])

SHOWN = 60
"""Rows on a page."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the worklist."""

    job: JobRecord
    review: ReviewRecord
    deliveries: tuple[DeliveryRecord, ...]
    modality: str
    picture: str

    @property
    def summary(self) -> tuple[str, ...]:
        """Findings and measurements, a line each, the most urgent finding first."""
        findings = sorted(findings_of(self.job, self.review), key=entry_rank)
        lines = [wording.finding(entry) for entry in findings]
        return (*lines, *(wording.measurement(entry) for entry in measurements_of(self.job, self.review)))

    @property
    def version(self) -> str:
        """A digest that changes whenever the line looks different."""
        return digest(self.job, self.review, self.deliveries, self.picture)


@router.get("/")
def worklist(site: SiteOf, view: ViewOf) -> HTMLResponse:
    """Return the page; its event stream starts at the event that it shows."""
    sequence = site.ledger.events.last_sequence()
    filters = view.wanted(datetime.now(UTC))
    results = site.ledger.results.search(filters, order=view.sort, limit=SHOWN + 1, offset=(view.page - 1) * SHOWN)
    counts, models = site.ledger.results.count(filters), site.ledger.results.count_models(filters)
    in_state = sum(counts.values()) if view.state == ALL else counts[ReviewState(view.state)]
    return site.page(
        "worklist.html",
        sequence=sequence,
        view=view,
        rows=[_row(site, job, review) for job, review in results[:SHOWN]],
        in_state=in_state,
        pages=-(-in_state // SHOWN),
        without_filters=_without_filters(site, view) if not results else 0,
        states=_state_filters(site, view, counts),
        urgencies=site.ledger.results.count_urgencies(filters),
        models={name: models.get(name, 0) for name in sorted({*site.models, *models, view.model} - {""})},
    )


def _without_filters(site: Site, view: View) -> int:
    """Return the number of results in this state without the other filters."""
    counts = site.ledger.results.count()
    return sum(counts.values()) if view.state == ALL else counts[ReviewState(view.state)]


def address_of_following(site: Site, view: View, job_key: str) -> str:
    """Return the address of the result after this one in the view, "" where it is the last.

    The first of the page where this result is no longer in the view, as after a verdict.
    """
    offset = (view.page - 1) * SHOWN
    results = site.ledger.results.search(
        view.wanted(datetime.now(UTC)), order=view.sort, limit=SHOWN + 1, offset=offset
    )
    keys = [job.key for job, _ in results]
    position = keys.index(job_key) + 1 if job_key in keys else 0
    page = view.page + position // SHOWN
    return f"/results/{keys[position]}{view.query(page=page)}" if position < len(keys) else ""


def _row(site: Site, job: JobRecord, review: ReviewRecord) -> Row:
    series = site.ledger.series.find(job.series_uid, job.revision)
    modality = series.modality if series else ""
    return Row(job, review, site.ledger.deliveries.of_job(job.key), modality, picture_version(site, job.key))


def _state_filters(site: Site, view: View, counts: Mapping[ReviewState, int]) -> list[tuple[StateFilter, str, int]]:
    """Return value, label and count of each state that is always offered or that has results."""
    offered = {ReviewState.PENDING, ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED, view.state}
    if site.reading.second_reader is not SecondReader.NONE:
        offered |= {ReviewState.SECOND_READER, ReviewState.DISAGREED}
    offered |= {state for state in ReviewState if counts[state]}
    filters = [(state, words, counts[state]) for state, words in wording.REVIEW.items() if state in offered]
    return [*filters, (ALL, "All", sum(counts.values()))]


def picture_version(site: Site, job_key: str) -> str:
    """Return a digest that changes with the objects behind a result's pictures."""
    return digest(*(each.sha256 for each in site.ledger.objects.of_job(job_key)))


def digest(*parts: object) -> str:
    """Return 16 hex digits over the parts' representation."""
    return hashlib.blake2s(repr(parts).encode(), digest_size=8).hexdigest()
