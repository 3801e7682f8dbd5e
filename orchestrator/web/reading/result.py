"""The page of one result: pictures, findings, origin and reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.domain.correction import Entry as Said
from orchestrator.domain.records import JobRecord
from orchestrator.domain.urgency import entry_rank
from orchestrator.pipeline.review.verdict import reviewed_result
from orchestrator.web.addresses import Key
from orchestrator.web.reading.current_result import findings_of, measurements_of, visible_reviews
from orchestrator.web.reading.reviewer import remembered
from orchestrator.web.reading.verdict import CORRECTED_AT_MOST
from orchestrator.web.reading.viewer import PRESETS, Entry, viewing
from orchestrator.web.reading.worklist import address_of_following
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf
from orchestrator.web.views import ViewOf
from orchestrator.web.wording import explanation

router = APIRouter(dependencies=[needs(Permission.SEE)])

STAGES = ("complete", "read", "infer", "write", "deliver")


@router.get("/results/{key}")
def result(
    site: SiteOf,
    request: Request,
    view: ViewOf,
    key: Key,
    slice: Annotated[int | None, Query(ge=0, le=100_000)] = None,
    spot: Entry = "",
) -> HTMLResponse:
    """Return the page; ``slice`` (from 0) is shown first, else that of the entry ``spot``, else the best one."""
    sequence = site.ledger.events.last_sequence()
    reviewed = reviewed_result(site.ledger, key)
    job, review = reviewed.job, reviewed.newest
    series = site.ledger.series.find(job.series_uid, job.revision)
    visible = visible_reviews(site, reviewed)
    earlier, newer = _neighbours(site, job)
    return site.page(
        "result.html",
        sequence=sequence,
        job=job,
        review=review,
        visible=visible,
        can_confirm=reviewed.can_confirm,
        opposed=reviewed.opposed,
        findings=sorted(_entries(job.findings, findings_of(job, review)), key=lambda each: entry_rank(each[2])),
        measurements=_entries(job.measurements, measurements_of(job, review)),
        allowed=reviewed.verdicts,
        correctable=reviewed.correctables[:CORRECTED_AT_MOST],
        now_says=visible.corrected_to,
        reviewer=remembered(request),
        series=series,
        quarantined=site.ledger.quarantine.waiting(series_uid=job.series_uid),
        rules=explanation(series) if series else None,
        viewing=viewing(site, job.key, slice, spot),
        presets=PRESETS.get(series.modality, ()) if series else (),
        objects=site.ledger.objects.of_job(job.key),
        parameters=site.gallery.parameters(job.key),
        deliveries=(*site.ledger.deliveries.of_job(job.key), *site.ledger.withdrawals.notes(job.key)),
        card=site.models.get(job.model),
        stages=stages(job),
        earlier=earlier,
        newer=newer,
        view=view,
        following=address_of_following(site, view, job.key),
    )


def _entries(model: Sequence[Said], now: Sequence[Said]) -> list[tuple[int, Said, Said]]:
    """Return the place, what the model said and what it reads now, for each finding or measurement."""
    return [(place, *entries) for place, entries in enumerate(zip(model, now, strict=True))]


def stages(job: JobRecord) -> list[tuple[str, float]]:
    """Return the seconds of each measured stage, the known stages first and in their order."""
    order = [*STAGES, *(stage for stage in job.seconds if stage not in STAGES)]
    return [(stage, job.seconds[stage]) for stage in order if stage in job.seconds]


def _neighbours(site: Site, job: JobRecord) -> tuple[JobRecord | None, JobRecord | None]:
    """Return the same model's previous job on the same series, and its newest later one."""
    jobs = site.ledger.jobs.search(series_uid=job.series_uid, model=job.model)
    earlier = [each for each in jobs if each.created_at < job.created_at]
    newer = [each for each in jobs if each.created_at > job.created_at]
    return next(iter(earlier), None), next(iter(newer), None)
