"""The worklist: results that wait for a radiologist, the most urgent first."""

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
        """What the model found, in lines."""
        found = [wording.finding(entry) for entry in findings_of(self.job, self.review)]
        return (*found, *(wording.measurement(entry) for entry in measurements_of(self.job, self.review)))

    @property
    def version(self) -> str:
        """Another text whenever the line looks different."""
        return digest(self.job, self.review, self.deliveries, self.picture)


@router.get("/")
def worklist(site: SiteOf, view: ViewOf) -> HTMLResponse:
    """Return the page; its event stream starts at the event that it shows."""
    sequence = site.ledger.events.last_sequence()
    wanted = view.wanted(datetime.now(UTC))
    found = site.ledger.results.search(wanted, order=view.sort, limit=SHOWN + 1, offset=(view.page - 1) * SHOWN)
    counts, models = site.ledger.results.count(wanted), site.ledger.results.count_models(wanted)
    in_state = sum(counts.values()) if view.state == ALL else counts[ReviewState(view.state)]
    return site.page(
        "worklist.html",
        sequence=sequence,
        view=view,
        rows=[_row(site, job, review) for job, review in found[:SHOWN]],
        in_state=in_state,
        pages=-(-in_state // SHOWN),
        without_filters=_without_filters(site, view) if not found else 0,
        states=_state_filters(site, view, counts),
        urgencies=site.ledger.results.count_urgencies(wanted),
        models={name: models.get(name, 0) for name in sorted({*site.models, *models, view.model} - {""})},
    )


def _without_filters(site: Site, view: View) -> int:
    """Return how many results the state alone would leave."""
    counts = site.ledger.results.count()
    return sum(counts.values()) if view.state == ALL else counts[ReviewState(view.state)]


def address_of_following(site: Site, view: View, job_key: str) -> str:
    """Return the address of the result after this one in the view, "" where it is the last.

    It is the first of the page where this one is not in the view any more, as after its verdict.
    """
    offset = (view.page - 1) * SHOWN
    found = site.ledger.results.search(view.wanted(datetime.now(UTC)), order=view.sort, limit=SHOWN + 1, offset=offset)
    keys = [job.key for job, _ in found]
    place = keys.index(job_key) + 1 if job_key in keys else 0
    page = view.page + place // SHOWN
    return f"/results/{keys[place]}{view.query(page=page)}" if place < len(keys) else ""


def _row(site: Site, job: JobRecord, review: ReviewRecord) -> Row:
    series = site.ledger.series.find(job.series_uid, job.revision)
    modality = series.modality if series else ""
    return Row(job, review, site.ledger.deliveries.of_job(job.key), modality, picture_version(site, job.key))


def _state_filters(site: Site, view: View, counts: Mapping[ReviewState, int]) -> list[tuple[StateFilter, str, int]]:
    """Return value, words and count of each state that is always offered or that a result is in."""
    always = {ReviewState.PENDING, ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED, view.state}
    if site.reading.second_reader is not SecondReader.NONE:
        always |= {ReviewState.SECOND_READER, ReviewState.DISAGREED}
    always |= {state for state in ReviewState if counts[state]}
    shown = [(state, words, counts[state]) for state, words in wording.REVIEW.items() if state in always]
    return [*shown, (ALL, "All", sum(counts.values()))]


def picture_version(site: Site, job_key: str) -> str:
    """Return a text that changes when the objects behind a result's pictures do."""
    return digest(*(each.sha256 for each in site.ledger.objects.of_job(job_key)))


def digest(*parts: object) -> str:
    """Return 16 hex digits over the parts' representation."""
    return hashlib.blake2s(repr(parts).encode(), digest_size=8).hexdigest()
