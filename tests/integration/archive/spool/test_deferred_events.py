"""Events of a process without a ledger wait on the disk until they are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.archive import UntoldEvent, UntoldEvents

EVENT = UntoldEvent("kind", "1.2", "text")


@pytest.fixture
def untold(tmp_path: Path) -> UntoldEvents:
    return UntoldEvents(tmp_path / "data/untold")


def told(untold: UntoldEvents) -> list[UntoldEvent]:
    found: list[UntoldEvent] = []
    untold.take(found.append)
    return found


def test_an_event_is_recorded_once_by_another_process(untold: UntoldEvents, tmp_path: Path) -> None:
    untold.put("one", EVENT)
    assert told(UntoldEvents(tmp_path / "data/untold")) == [EVENT]
    assert told(untold) == []


def test_where_nothing_was_ever_left_there_is_nothing_to_record(untold: UntoldEvents) -> None:
    assert told(untold) == []


def test_an_event_that_could_not_be_recorded_is_there_the_next_time(untold: UntoldEvents) -> None:
    untold.put("one", EVENT)

    def away(_: UntoldEvent) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        untold.take(away)
    assert told(untold) == [EVENT]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"kind": "k"}'])
def test_a_broken_event_is_set_aside_and_holds_up_no_other(
    untold: UntoldEvents, tmp_path: Path, content: bytes
) -> None:
    untold.put("two", EVENT)
    (tmp_path / "data/untold/one.json").write_bytes(content)
    assert told(untold) == [EVENT]
    assert [path.name for path in (tmp_path / "data/untold").iterdir()] == ["one.broken"]
