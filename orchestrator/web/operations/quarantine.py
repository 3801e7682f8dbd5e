"""The page of images that conflict with those of another sender, where a person takes or refuses them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import StringConstraints

from orchestrator.domain.errors import UserError
from orchestrator.pipeline.arrival.quarantine import decide
from orchestrator.web.addresses import Name
from orchestrator.web.reading.reviewer import remembered
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import SiteOf
from orchestrator.web.wording import sentence

router = APIRouter()

FormUid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$"), Form()]
Sender = Annotated[str, StringConstraints(min_length=1, max_length=64), Form()]


class Decision(StrEnum):
    """TAKE: the images count from now on. REFUSE: they never count."""

    TAKE = "take"
    REFUSE = "refuse"


@router.get("/quarantine", dependencies=[needs(Permission.SEE)])
def quarantine(site: SiteOf, request: Request) -> HTMLResponse:
    """Return what waits for a decision, the oldest first."""
    sequence = site.ledger.events.last_sequence()
    waiting = site.ledger.quarantine.waiting()
    return site.page("quarantine.html", sequence=sequence, waiting=waiting, reviewer=remembered(request))


@router.post("/quarantine", dependencies=[needs(Permission.OPERATE)])
def settle(
    site: SiteOf,
    series_uid: FormUid,
    sender: Sender,
    decision: Annotated[Decision, Form()],
    by: Annotated[Name, Form()],
) -> Response:
    """Take or refuse the images of a sender in a series, and return to the page; 409 where none waits any more."""
    try:
        decide(site.ledger, series_uid, sender, take=decision is Decision.TAKE, by=by)
    except UserError as refusal:
        raise HTTPException(409, f"{sentence(str(refusal))} Nothing was changed.") from refusal
    return RedirectResponse("/quarantine", 303)
