"""Jobs: every one with its state and reason, and the orders to retry or cancel it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from orchestrator.domain.errors import UserError
from orchestrator.domain.job import JobState
from orchestrator.pipeline.job_control import can_cancel, can_retry
from orchestrator.web.addresses import Key, Name
from orchestrator.web.reading.current_result import open_events
from orchestrator.web.reading.result import stages
from orchestrator.web.reading.reviewer import remembered
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Order, Site, SiteOf

router = APIRouter()

SHOWN: Final = 200


@router.get("/jobs", dependencies=[needs(Permission.SEE)])
def jobs(
    site: SiteOf, state: JobState | None = None, model: Annotated[str, Query(max_length=128)] = ""
) -> HTMLResponse:
    """Return the newest jobs, of one state or model where asked for."""
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
    """Return one job with everything that happened to it."""
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
    """Have the job run again and return to it; 409 where its state forbids that."""
    return _order(site, key, by, site.retry)


@router.post("/jobs/{key}/cancel", dependencies=[needs(Permission.OPERATE)])
def cancel(site: SiteOf, key: Key, by: Annotated[Name, Form()]) -> Response:
    """Have the job stopped and return to it; 409 where its state forbids that."""
    return _order(site, key, by, site.cancel)


def _order(site: Site, key: str, by: str, order: Order) -> Response:
    job_key = site.ledger.jobs.get(key).key
    try:
        order(job_key, by)
    except UserError as refused:
        raise HTTPException(409, f"{refused}. Nothing was changed.") from refused
    return RedirectResponse(f"/jobs/{job_key}", 303)
