"""Whether the process lives and whether it can do its work; for supervisors, without a login."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import SiteOf

router = APIRouter(dependencies=[needs(Permission.PUBLIC)])
log = logging.getLogger(__name__)


@router.get("/healthz")
async def alive() -> PlainTextResponse:
    """Return 200 while the process answers."""
    return PlainTextResponse("alive\n")


@router.get("/readyz")
def ready(site: SiteOf) -> JSONResponse:
    """Return 200, or 503 with the name of each part that cannot work and why."""
    faults = dict(site.ready())
    try:
        site.ledger.events.last_sequence()
    except Exception as fault:  # noqa: BLE001  whatever the database's driver raises, the answer is "not ready"
        log.warning("the ledger does not answer: %s", type(fault).__name__)
        faults["ledger"] = "does not answer"
    return JSONResponse({"ready": not faults, "faults": faults}, 503 if faults else 200)
