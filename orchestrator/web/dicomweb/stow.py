"""STOW-RS: images pushed over HTTP (PS3.18 10.5), streamed to disk and acknowledged when they are durable."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from email.message import Message
from typing import Final

import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from orchestrator.archive import BrokenMultipart, StowResult, boundary_in
from orchestrator.web.addresses import Uid
from orchestrator.web.dicomweb.stow_response import as_json, as_xml
from orchestrator.web.security.guards import STREAMED
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.security.uploads import Busy, Stalled, Upload
from orchestrator.web.site import Site, SiteOf

router = APIRouter(dependencies=[needs(Permission.STORE)])

_log = logging.getLogger(__name__)

JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"
_WRITERS: Final = {JSON: as_json, XML: as_xml}
_ANSWERED_BY: Final = {JSON: JSON, "application/json": JSON, "application/*": JSON, "*/*": JSON, XML: XML}


@router.post(STREAMED)
async def store(site: SiteOf, request: Request) -> Response:
    """Take instances of any study: 200 all, 202 some, 409 none of them, 503 where the disk is full."""
    return await _store(site, request, "")


@router.post(STREAMED + "/{study_uid}")
async def store_into(site: SiteOf, request: Request, study_uid: Uid) -> Response:
    """Take instances of that study."""
    return await _store(site, request, study_uid)


async def _store(site: Site, request: Request, study_uid: str) -> Response:
    take = site.take
    if take is None:
        raise HTTPException(404)
    boundary, answer = _boundary(request.headers.get("content-type", "")), _answer_type(request)
    client = request.client.host if request.client else "an unknown address"
    coming = request.stream()

    def run(upload: Upload) -> list[StowResult]:
        return list(take(_pieces(coming, upload), boundary, study_uid, client))

    try:
        async with site.uploads.place(client) as upload:
            results = await anyio.to_thread.run_sync(run, upload)
    except Busy:
        _log.warning("STOW-RS from %s refused: all places for uploads are taken", client)
        text = "All places for uploads are taken. Nothing was stored. Send again later.\n"
        return PlainTextResponse(text, 503, {"Retry-After": "10"})
    except Stalled:
        _log.warning("STOW-RS from %s ended: the client stopped sending", client)
        text = "The body stopped before its end. The parts that came whole are stored. Send the others again.\n"
        return PlainTextResponse(text, 408, {"Connection": "close"})
    except BrokenMultipart as fault:
        return PlainTextResponse(f"The body is no multipart: {fault}. What came whole before is kept.\n", 400)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    if not results:
        return PlainTextResponse("The body holds no part.\n", 400)
    return Response(_WRITERS[answer](results), _status(results), media_type=answer)


def _pieces(coming: AsyncIterator[bytes], upload: Upload) -> Iterator[bytes]:
    """Yield the body in a thread beside the one that it comes in; the next piece is read when it is asked for."""
    while (piece := anyio.from_thread.run(upload.next_piece, coming)) is not None:
        yield piece


def _boundary(content_type: str) -> str:
    """Return what the parts are told apart by.

    Raises HTTPException 415 where it is no multipart of DICOM files.
    """
    boundary, header = boundary_in(content_type), Message()
    header["Content-Type"] = content_type
    if not boundary or header.get_param("type", "application/dicom") != "application/dicom":
        raise HTTPException(415, 'Images come as multipart/related; type="application/dicom" with a boundary.')
    return boundary


def _answer_type(request: Request) -> str:
    """Return the media type of the answer; raises HTTPException 406 where only others are accepted."""
    asked = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "*/*").split(",")]
    for each in asked:
        if each in _ANSWERED_BY:
            return _ANSWERED_BY[each]
    raise HTTPException(406, f"The answer comes as {JSON} or {XML}.")


def _status(results: Sequence[StowResult]) -> int:
    """Return the status of the whole (PS3.18 table 10.5.3-1)."""
    failures = [result for result in results if result.reason]
    if not failures:
        return 200
    if len(failures) < len(results):
        return 202
    return 503 if all(result.is_full for result in failures) else 409
