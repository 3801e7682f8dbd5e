"""The pages of jobs: their states and reasons, and buttons to retry or cancel."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from orchestrator.domain.errors import UserError
from orchestrator.domain.job import JobState
from orchestrator.pipeline.jobs.control import can_cancel, can_retry
from orchestrator.web.addresses import Key, Name
from orchestrator.web.reading.current_result import open_events
from orchestrator.web.reading.result import stages
from orchestrator.web.reading.reviewer import remembered
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Order, Site, SiteOf
from orchestrator.web.wording import sentence

router = APIRouter()

SHOWN: Final = 200


@router.get("/jobs", dependencies=[needs(Permission.SEE)])
def jobs(
    site: SiteOf, state: JobState | None = None, model: Annotated[str, Query(max_length=128)] = ""
) -> HTMLResponse:
    """Return the newest jobs, all or those of one state or model."""
    sequence = site.ledger.events.last_sequence()
    found = site.ledger.jobs.search(states=(state,) if state else (), model=model or None, limit=SHOWN)
    counts, waiting = site.ledger.jobs.count(), site.ledger.destinations.count_waiting()
    return site.page(
        "jobs.html",
        sequence=sequence,
        jobs=found,
        state=state,
        counts={each: counts[each] for each in JobState if counts.get(each)},
        model=model,
        models=sorted({*site.models, *(job.model for job in found)}),
        away=[each.in_words(waiting.get(each.name, 0)) for each in site.ledger.destinations.unreachable()],
    )


@router.get("/jobs/{key}", dependencies=[needs(Permission.SEE)])
def job(site: SiteOf, request: Request, key: Key) -> HTMLResponse:
    """Return the page of one job with its deliveries and events."""
    sequence = site.ledger.events.last_sequence()
    found = site.ledger.jobs.get(key)
    review, notes = site.ledger.reviews.newest(found.key), site.ledger.withdrawals.notes(found.key)
    return site.page(
        "job.html",
        sequence=sequence,
        job=found,
        review=review,
        deliveries=(*site.ledger.deliveries.of_job(found.key), *notes),
        events=open_events(site, found.key, review),
        stages=stages(found),
        may_retry=can_retry(site.ledger, found),
        may_cancel=can_cancel(site.ledger, found),
        reviewer=remembered(request),
    )


@router.post("/jobs/{key}/retry", dependencies=[needs(Permission.OPERATE)])
def retry(site: SiteOf, key: Key, by: Annotated[Name, Form()]) -> Response:
    """Retry the job and return to its page; 409 where its state forbids that."""
    return _change(site, key, by, site.retry)


@router.post("/jobs/{key}/cancel", dependencies=[needs(Permission.OPERATE)])
def cancel(site: SiteOf, key: Key, by: Annotated[Name, Form()]) -> Response:
    """Cancel the job and return to its page; 409 where its state forbids that."""
    return _change(site, key, by, site.cancel)


def _change(site: Site, key: str, by: str, change: Order) -> Response:
    job_key = site.ledger.jobs.get(key).key
    try:
        change(job_key, by)
    except UserError as refusal:
        raise HTTPException(409, f"{sentence(str(refusal))} Nothing was changed.") from refusal
    return RedirectResponse(f"/jobs/{job_key}", 303)
