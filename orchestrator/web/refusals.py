"""Error pages for 4xx and 500: what happened and what to do; no internals."""

from __future__ import annotations

import logging
import secrets

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.web import wording
from orchestrator.web.security.guards import PROTECTION
from orchestrator.web.site import Site

log = logging.getLogger(__name__)

TITLES = {
    400: "Request not understood",
    403: "Not allowed",
    404: "Page not found",
    405: "Not possible at this address",
    409: "Changed by somebody else",
    411: "Request not understood",
    413: "The request is too large",
    421: "Wrong address",
    422: "Please check your entries",
    500: "Internal error",
}

HINTS = {
    404: "Nothing is stored under this address. Check the address or open the result from the list.",
    405: "Open the page from the list of results.",
}
"""What to do, where the refusal itself does not say it."""

FIELDS = {
    "by": "your name",
    "organization": "organization",
    "comment": "comment (1000 characters at most)",
    "uid": "the Study Instance UID (digits and dots)",
}


def refusal(site: Site, status: int, text: str = "") -> Response:
    """Return the error page for a status."""
    title = TITLES.get(status, TITLES[400])
    return site.page("refusal.html", status=status, title=title, text=text or HINTS.get(status, ""))


def show_refusals(app: FastAPI, site: Site) -> None:
    """Answer every error with an error page of this application."""

    def refused(_request: Request, fault: Exception) -> Response:
        assert isinstance(fault, StarletteHTTPException)
        # the framework's own texts ("Not Found") say less than our titles
        return refusal(site, fault.status_code, fault.detail if isinstance(fault, HTTPException) else "")

    def unknown(_request: Request, fault: Exception) -> Response:
        return refusal(site, 404, wording.sentence(str(fault)))

    def forbidden(_request: Request, fault: Exception) -> Response:
        return refusal(site, 409, wording.sentence(str(fault)))

    def invalid(_request: Request, fault: Exception) -> Response:
        assert isinstance(fault, RequestValidationError)
        return _invalid(site, fault)

    def failed(request: Request, _fault: Exception) -> Response:
        reference = secrets.token_hex(4)
        log.error("page %s failed, reference %s", request.url.path, reference)
        answer = refusal(site, 500, f"Look for reference {reference} in the log.")
        answer.headers.update(PROTECTION | {"Cache-Control": "no-store"})  # this answer passes outside the guards
        return answer

    app.add_exception_handler(StarletteHTTPException, refused)
    app.add_exception_handler(UnknownRecord, unknown)
    app.add_exception_handler(ForbiddenTransition, forbidden)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, failed)


def _invalid(site: Site, fault: RequestValidationError) -> Response:
    """Return 404 for an address that cannot exist, 422 with the names of the fields otherwise; never the values."""
    places = [error["loc"] for error in fault.errors()]
    if any(place[0] == "path" for place in places):
        return refusal(site, 404)
    # a validator of a whole form has no field of its own; its message is ours
    texts = [error["msg"].removeprefix("Value error, ") for error in fault.errors() if error["type"] == "value_error"]
    fields = sorted({FIELDS.get(str(place[1]), str(place[1])) for place in places if len(place) > 1})
    named = [f"Please check: {', '.join(fields)}."] if fields else []
    return refusal(site, 422, " ".join([*texts, *named]))
