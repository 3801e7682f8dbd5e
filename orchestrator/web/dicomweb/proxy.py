"""DICOMweb for the viewer: read only, from one archive, and only of studies that have arrived here.

The browser asks on the origin of the pages, so that the archive's address and password stay on this machine.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Annotated, Any, Final

import anyio
from anyio import to_thread
from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.web.ohif import Ohif
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf

router = APIRouter(dependencies=[needs(Permission.SEE)])
log = logging.getLogger(__name__)

ROOT: Final = "/viewer/dicom-web"

_UID: Final = r"[0-9]{1,62}(?:\.[0-9]{1,62})*"
_ALLOWED: Final = re.compile(
    rf"(?P<json>series|instances|metadata|series/{_UID}/(?:instances|metadata|instances/{_UID}/metadata))"
    rf"|series/{_UID}(?:/instances/{_UID}(?:/frames/[0-9]+(?:,[0-9]+)*)?)?"
    rf"|(?:series/{_UID}/)?(?:instances/{_UID}/)?bulk(?:data)?(?:/[\w-]+(?:\.[\w-]+)*)+",
    re.ASCII,
)
"""What may be asked below a study (PS3.18 10.4 and 10.6): searches, metadata, instances, frames, bulk data."""
_ASKED: Final = frozenset({"includefield", "limit", "offset", "SeriesInstanceUID", "SOPInstanceUID"})
_TYPES: Final = ("multipart/related", "application/octet-stream", "application/dicom", "image/", "video/")
_NOT_THERE: Final = frozenset({404, 406, 410})
_JSON: Final = "application/dicom+json"

StudyUid = Annotated[str, Path(pattern=rf"^{_UID}$", max_length=64)]


@router.get(ROOT + "/studies")
async def studies(site: SiteOf, request: Request) -> Response:
    """Return the one study that is asked for by its UID, where it has arrived here.

    404 for every other question, so that nobody lists the archive. Other studies of a Patient ID are not looked for:
    two patients may have the same one. OHIF then lists the study that it shows.
    """
    ohif, study_uid = _viewer(site), request.query_params.get("StudyInstanceUID", "")

    def find() -> Response:
        if not re.fullmatch(_UID, study_uid) or not _arrived(site, study_uid):
            raise HTTPException(404)
        found = _json(ohif, "/studies", {"StudyInstanceUID": study_uid, **_asked(request)})
        known = [each for each in found if _study_uid(each) == study_uid]
        if not known:
            raise HTTPException(404)
        return _shown(known)

    return await _told(ohif, find)


@router.get(ROOT + "/studies/{study_uid}/{below:path}")
async def below_study(site: SiteOf, request: Request, study_uid: StudyUid, below: str) -> Response:
    """Return what the archive holds below a study: JSON whole, pixels as they come."""
    ohif, match = _viewer(site), _ALLOWED.fullmatch(below)
    if match is None:
        raise HTTPException(404)

    def fetch() -> Response:
        if not _arrived(site, study_uid):
            raise HTTPException(404)
        path = f"/studies/{study_uid}/{below}"
        if match["json"]:
            return _shown(_json(ohif, path, _asked(request)))
        return _pixels(ohif, path, request.headers.get("accept", "*/*"))

    return await _told(ohif, fetch)


def _viewer(site: Site) -> Ohif:
    if site.ohif is None:
        raise HTTPException(404)
    return site.ohif


def _asked(request: Request) -> dict[str, str]:
    return {key: value for key, value in request.query_params.items() if key in _ASKED}


def _arrived(site: Site, study_uid: str) -> bool:
    return bool(site.ledger.series.newest(study_uid=study_uid, limit=1))


def _study_uid(found: Mapping[str, Any]) -> str:
    return str(next(iter(found.get("0020000D", {}).get("Value", [])), ""))


async def _told(ohif: Ohif, ask: Callable[[], Response]) -> Response:
    """Return what asking came to; 502 or 504 in words where the archive fails."""
    try:
        return await to_thread.run_sync(ask, limiter=ohif.limiter)
    except ArchiveError as fault:
        log.warning("the viewer gets no answer: %s", fault)
        return PlainTextResponse(f"{fault}\n", 504 if isinstance(fault, ArchiveUnavailable) else 502)


def _json(ohif: Ohif, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the answer, empty where the archive holds nothing of the kind; raises ArchiveError."""
    with ohif.archive.stream("GET", path, params=query, headers={"Accept": _JSON}, other_codes=_NOT_THERE) as answer:
        found = [] if answer.status_code in _NOT_THERE else ohif.archive.read_json(answer) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ArchiveRefused("the archive answers the viewer with something else than a list of data sets")
    return found


def _shown(found: Any) -> Response:
    return Response(json.dumps(relocated(found), separators=(",", ":")), media_type=_JSON)


def relocated(found: Any) -> Any:  # Any: the DICOM JSON model as json has it
    """Return DICOM JSON (PS3.18 annex F), changed in place: its bulk data and retrieve URLs lead here."""
    if isinstance(found, list):
        return [relocated(each) for each in found]
    if not isinstance(found, dict):
        return found
    if isinstance(uri := found.get("BulkDataURI"), str):
        found["BulkDataURI"] = _here(uri)
    if found.get("vr") == "UR":
        found["Value"] = [_here(str(each)) for each in found.get("Value", [])]
    elif found.get("vr", "SQ") == "SQ":
        found.update({key: relocated(value) for key, value in found.items() if isinstance(value, dict | list)})
    return found


def _here(uri: str) -> str:
    """Return the address below our root; one that names no study as it is."""
    _, found, below = uri.rpartition("/studies/")
    return f"{ROOT}/studies/{below}" if found else uri


def _pixels(ohif: Ohif, path: str, accept: str) -> Response:
    """Return the answer with its body still to come; raises ArchiveError."""
    with ExitStack() as stack:
        asked = ohif.archive.stream("GET", path, headers={"Accept": accept}, other_codes=_NOT_THERE)
        answer = stack.enter_context(asked)
        kind = answer.headers.get("Content-Type", "")
        if answer.status_code in _NOT_THERE:
            return Response(status_code=answer.status_code)
        if not kind.lower().startswith(_TYPES):
            return PlainTextResponse("The archive answers with what is no image.\n", 502)
        headers = {name: answer.headers[name] for name in ("Content-Length",) if name in answer.headers}
        body = _pieces(stack.pop_all(), answer.iter_raw(), ohif.limiter)
    return StreamingResponse(body, headers=headers, media_type=kind)


async def _pieces(stack: ExitStack, coming: Iterator[bytes], limiter: anyio.CapacityLimiter) -> AsyncIterator[bytes]:
    """Yield the body as it comes; what was opened for it is closed at its end, also where nobody waits for it.

    Raises ArchiveUnavailable where it breaks off: the browser must not take a part for the whole.
    """
    with stack:
        while (piece := await to_thread.run_sync(next, coming, None, limiter=limiter)) is not None:
            yield piece
