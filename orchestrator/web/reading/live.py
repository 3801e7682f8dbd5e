"""Server-sent events about changes, read from the ledger's events, which other processes write too."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from orchestrator.domain.records import EventRecord
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf

router = APIRouter(dependencies=[needs(Permission.SEE)])

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""A page shows that it is out of date after three missing heartbeats."""


@router.get("/events")
async def events(
    site: SiteOf,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**53)] = None,
) -> StreamingResponse:
    """Return the endless stream of changes after event ``after``, or after the last one that the browser got."""
    start = after if last_event_id is None else last_event_id
    return StreamingResponse(changes(site, start), media_type="text/event-stream")


async def changes(
    site: Site, after: int, *, poll: float = POLL_SECONDS, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncIterator[str]:
    """Yield one message per batch of events and a heartbeat in between, until the server ends."""
    yield "retry: 2000\n\n"
    silent = 0.0
    while not site.closing.is_set():
        batch = await run_in_threadpool(site.ledger.events.after, after=after)
        if batch:
            after, silent = batch[-1].sequence, 0.0
            yield _message(batch)
        elif silent >= heartbeat:
            silent = 0.0
            yield "event: heartbeat\ndata: {}\n\n"
        silent += poll
        await _pause(site.closing, poll)


def _message(batch: tuple[EventRecord, ...]) -> str:
    # never what a verdict says: a second reader may be listening
    kinds, subjects = {event.kind.partition(".")[0] for event in batch}, {event.subject for event in batch}
    data = {"kinds": sorted(kinds), "subjects": sorted(subjects)}
    return f"id: {batch[-1].sequence}\nevent: change\ndata: {json.dumps(data)}\n\n"


async def _pause(closing: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), seconds)
