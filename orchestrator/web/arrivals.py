"""Series and studies that arrived, and why a model ran on them or none did."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.records import SeriesRecord
from orchestrator.web.addresses import Uid
from orchestrator.web.permissions import Permission, needs
from orchestrator.web.site import SiteOf

router = APIRouter(dependencies=[needs(Permission.SEE)])

SHOWN: Final = 200


@router.get("/series")
def series(site: SiteOf, show: Literal["all", "matched", "unmatched"] = "all") -> HTMLResponse:
    """Return the newest series with what the rules said about each."""
    sequence = site.ledger.last_event()
    found = site.ledger.list_series(limit=SHOWN)
    wanted = [each for each in found if show == "all" or each.matched == (show == "matched")]
    explained = [(each, explanation(each)) for each in wanted]
    return site.page("series.html", sequence=sequence, series=explained, show=show)


@router.get("/studies/{uid}")
def study(site: SiteOf, uid: Uid) -> HTMLResponse:
    """Return everything of one study; 404 where nothing of it arrived."""
    sequence = site.ledger.last_event()
    found = site.ledger.list_series(study_uid=uid, limit=SHOWN)
    if not found:
        raise UnknownRecord(f"nothing of the study {uid} has arrived here")
    jobs = site.ledger.jobs(study_uid=uid, limit=SHOWN)
    events = site.ledger.newest_events(subjects={each.series_uid for each in found}, limit=SHOWN)
    return site.page(
        "study.html",
        events=events,
        sequence=sequence,
        study_uid=uid,
        series=[(each, explanation(each)) for each in found],
        jobs=[(job, site.ledger.review(job.key)) for job in jobs],
    )


def explanation(record: SeriesRecord) -> Any:
    """Return what the rules said, as JSON has it; None where they were not asked yet."""
    return json.loads(record.explanation) if record.explanation else None
