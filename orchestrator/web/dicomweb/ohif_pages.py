"""The viewer OHIF at /viewer/, where the settings name one.

It has a policy of its own, as tight as it runs under: no other origin, no inline script.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, Response

from orchestrator.web.ohif import OUR_PLACE, PLACE, TYPES
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import SiteOf

router = APIRouter(dependencies=[needs(Permission.SEE)])

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self'; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of the page and its workers. Its SEG reader and its decoders write functions at run time, its component library
writes style elements, and pictures are blobs. Nothing may be loaded from or sent to another origin."""


@router.get(PLACE + "viewer")
def page(site: SiteOf) -> Response:
    """Return the viewer's page; it reads from its own address which study it shows."""
    if site.ohif is None:
        raise HTTPException(404)
    shown = site.page("ohif.html", place=PLACE, entry=site.ohif.entry)
    shown.headers["Content-Security-Policy"] = POLICY
    return shown


@router.get(PLACE + "{name:path}")
def file(site: SiteOf, name: str) -> Response:
    """Return one file of the viewer; no other path can be named."""
    path = site.ohif.files.get(name) if site.ohif else None
    if path is None:
        raise HTTPException(404)
    # names carry a digest of the content; a day, since what is changed here may change with this host
    headers = {"Cache-Control": "private, max-age=86400"}
    kind = TYPES[path.suffix]
    if path.suffix == ".js":
        headers["Content-Security-Policy"] = POLICY  # that of a worker is its script's
    if path.suffix not in OUR_PLACE:
        return FileResponse(path, media_type=kind, headers=headers)
    content = path.read_bytes()
    for theirs, ours in OUR_PLACE[path.suffix]:
        content = content.replace(theirs, ours)
    return Response(content, media_type=kind, headers=headers)
