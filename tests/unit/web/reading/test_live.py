"""The stream tells of every change after the one that the page shows, and ends with the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from orchestrator.web.reading.live import changes
from tests.data.reading_room import ReadingRoom


def heard(app, after: int, count: int, *, meanwhile: Callable[[], object] = lambda: None, **timing: float) -> list[str]:
    """Return the first messages of a stream, its opening line left out; ``meanwhile`` happens once it runs."""

    async def listen() -> list[str]:
        stream = changes(app.state.site, after, **{"poll": 0.01, "heartbeat": 600.0, **timing})
        await anext(stream)
        meanwhile()
        return [await anext(stream) for _ in range(count)]

    return asyncio.run(asyncio.wait_for(listen(), 120))


def test_a_change_names_its_subjects_and_its_sequence(app, room: ReadingRoom):
    start = room.ledger.events.last_sequence()
    (message,) = heard(app, start, 1, meanwhile=lambda: room.result("brain"))
    data = json.loads(message.split("data: ")[1])
    assert room.keys["brain"] in data["subjects"]
    assert "review" in data["kinds"]
    assert f"id: {room.ledger.events.last_sequence()}\n" in message


def test_a_page_that_was_away_misses_nothing(app, room: ReadingRoom):
    room.result("brain")
    (message,) = heard(app, 0, 1)
    assert room.keys["brain"] in message
    assert "event: change" in message


def test_what_the_page_shows_is_not_told_again(app, room: ReadingRoom):
    room.result("brain")
    (message,) = heard(app, room.ledger.events.last_sequence(), 1, heartbeat=0.02)
    assert message.startswith("event: heartbeat")


def test_the_stream_ends_with_the_server(app):
    async def listen() -> list[str]:
        asyncio.get_running_loop().call_later(0.05, app.state.site.closing.set)
        return [message async for message in changes(app.state.site, 0, poll=600)]

    assert asyncio.run(asyncio.wait_for(listen(), 120)) == ["retry: 2000\n\n"]


def test_the_stream_is_not_stored_and_says_what_it_is(app, visitor):
    app.state.site.closing.set()
    answer = visitor.get("/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"


def test_a_returning_browser_goes_on_where_it_was(app, visitor, room: ReadingRoom, monkeypatch):
    asked = []
    events = room.ledger.events.after

    def spy(*, after: int):
        asked.append(after)
        app.state.site.closing.set()
        return events(after=after)

    monkeypatch.setattr(room.ledger.events, "after", spy)
    visitor.get("/events?after=3", headers={"last-event-id": "7"})
    assert asked == [7]
