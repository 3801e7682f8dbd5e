"""The worklist: results that wait for a radiologist, the most urgent first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from orchestrator.domain.records import DeliveryRecord, JobRecord, ReviewRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.web import wording
from orchestrator.web.judged import findings_of, measurements_of, urgency_now
from orchestrator.web.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf

router = APIRouter(dependencies=[needs(Permission.SEE)])

SHOWN = 60
"""Rows on the page; the next ones move up as verdicts are given."""
SEARCHED = 2000
"""Results among which a model is looked for."""
StateFilter = ReviewState | Literal["all"]


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
    def urgency(self) -> Urgency | None:
        """How soon somebody must act, as people see it now."""
        return urgency_now(self.job, self.review)

    @property
    def version(self) -> str:
        """Another text whenever the line looks different."""
        return digest(self.job, self.review, self.deliveries, self.picture)


@router.get("/")
def worklist(
    site: SiteOf, state: StateFilter = ReviewState.PENDING, model: Annotated[str, Query(max_length=128)] = ""
) -> HTMLResponse:
    """Return the page; its event stream starts at the event that it shows."""
    sequence = site.ledger.last_event()
    states = () if state == "all" else (ReviewState(state),)
    found = _results(site, states, model)
    counts = site.ledger.count_results()
    return site.page(
        "worklist.html",
        sequence=sequence,
        rows=[_row(site, job, review) for job, review in found[:SHOWN]],
        more=max(len(found) - SHOWN, 0),
        state=state,
        states=_state_filters(counts),
        model=model,
        models=sorted({*site.models, *(job.model for job, _ in found)}),
    )


def _results(site: Site, states: Collection[ReviewState], model: str) -> list[tuple[JobRecord, ReviewRecord]]:
    found = site.ledger.results(states=states, limit=SEARCHED)
    return [(job, review) for job, review in found if model in ("", job.model)]


def _row(site: Site, job: JobRecord, review: ReviewRecord) -> Row:
    series = site.ledger.series(job.series_uid, job.revision)
    modality = series.modality if series else ""
    return Row(job, review, site.ledger.deliveries(job.key), modality, picture_version(site, job.key))


def _state_filters(counts: Mapping[ReviewState, int]) -> list[tuple[str, int]]:
    always = (ReviewState.PENDING, ReviewState.ACCEPTED, ReviewState.REJECTED)
    shown = [(state.value, counts[state]) for state in ReviewState if state in always or counts[state]]
    return [*shown, ("all", sum(counts.values()))]


def picture_version(site: Site, job_key: str) -> str:
    """Return a text that changes when the objects behind a result's pictures do."""
    return digest(*(each.sha256 for each in site.ledger.objects(job_key)))


def digest(*parts: object) -> str:
    """Return 16 hex digits over the parts' representation."""
    return hashlib.blake2s(repr(parts).encode(), digest_size=8).hexdigest()
