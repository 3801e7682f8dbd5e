"""Events of a process without a ledger wait on the disk until they are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.archive import DeferredEvent, DeferredEvents

EVENT = DeferredEvent("kind", "1.2", "text")


@pytest.fixture
def events(tmp_path: Path) -> DeferredEvents:
    return DeferredEvents(tmp_path / "data/deferred-events")


def told(events: DeferredEvents) -> list[DeferredEvent]:
    found: list[DeferredEvent] = []
    events.take(found.append)
    return found


def test_an_event_is_recorded_once_by_another_process(events: DeferredEvents, tmp_path: Path) -> None:
    events.put("one", EVENT)
    assert told(DeferredEvents(tmp_path / "data/deferred-events")) == [EVENT]
    assert told(events) == []


def test_where_nothing_was_ever_left_there_is_nothing_to_record(events: DeferredEvents) -> None:
    assert told(events) == []


def test_an_event_that_could_not_be_recorded_is_there_the_next_time(events: DeferredEvents) -> None:
    events.put("one", EVENT)

    def away(_: DeferredEvent) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        events.take(away)
    assert told(events) == [EVENT]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"kind": "k"}'])
def test_a_broken_event_is_set_aside_and_holds_up_no_other(
    events: DeferredEvents, tmp_path: Path, content: bytes
) -> None:
    events.put("two", EVENT)
    (tmp_path / "data/deferred-events/one.json").write_bytes(content)
    assert told(events) == [EVENT]
    assert [path.name for path in (tmp_path / "data/deferred-events").iterdir()] == ["one.broken"]
