"""Series and studies that arrived, and why a model ran on them or none did."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from orchestrator.web.addresses import Uid
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import SiteOf
from orchestrator.web.wording import explanation

router = APIRouter(dependencies=[needs(Permission.SEE)])

SHOWN: Final = 200


@router.get("/series")
def series(site: SiteOf, show: Literal["all", "matched", "unmatched"] = "all") -> HTMLResponse:
    """Return the newest series with what the rules said about each."""
    sequence = site.ledger.events.last_sequence()
    found = site.ledger.series.newest(limit=SHOWN)
    wanted = [each for each in found if show == "all" or each.matched == (show == "matched")]
    explained = [(each, explanation(each)) for each in wanted]
    waiting = site.ledger.quarantine.waiting()
    return site.page("series.html", sequence=sequence, series=explained, show=show, quarantined=waiting)


@router.get("/studies")
def find_study(uid: Annotated[str, Query(pattern=r"^\s*[0-9.]{1,64}\s*$")]) -> RedirectResponse:
    """Go to the page of a study; it is asked for by its UID only, an accession number is the patient's."""
    return RedirectResponse(f"/studies/{uid.strip()}", 303)


@router.get("/studies/{uid}")
def study(site: SiteOf, uid: Uid) -> HTMLResponse:
    """Return everything of one study, and what an archive has of it that was not taken; 404 where it was never seen."""
    sequence = site.ledger.events.last_sequence()
    found = site.ledger.series.newest(study_uid=uid, limit=SHOWN)
    here = {each.series_uid for each in found}
    fetches = [each for each in site.ledger.fetches.of_study(uid, limit=SHOWN) if each.series_uid not in here]
    jobs = site.ledger.jobs.search(study_uid=uid, limit=SHOWN)
    subjects = here | {each.series_uid for each in fetches}
    return site.page(
        "study.html",
        status=200 if subjects else 404,
        events=site.ledger.events.newest(subjects=subjects, limit=SHOWN) if subjects else (),
        sequence=sequence,
        study_uid=uid,
        series=[(each, explanation(each)) for each in found],
        fetches=fetches,
        quarantined=site.ledger.quarantine.waiting(study_uid=uid),
        watches={name: site.ledger.watches.get(name) if watched else None for name, watched in site.archives.items()},
        jobs=[(job, site.ledger.reviews.newest(job.key)) for job in jobs],
    )
