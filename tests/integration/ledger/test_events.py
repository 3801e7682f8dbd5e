from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from orchestrator.database import Database
from orchestrator.ledger import Ledger


def test_an_event_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    event = ledger.events.record("rules-changed", "rules.toml", "digest 12ab", by="administrator")
    assert ledger.events.after() == (event,)
    assert ledger.events.last_sequence() == event.sequence


def test_a_reader_goes_on_behind_the_last_event_it_saw(ledger: Ledger) -> None:
    assert (ledger.events.last_sequence(), ledger.events.after()) == (0, ())
    first, second, third = (ledger.events.record("note", subject, "text") for subject in ("a", "b", "a"))
    assert ledger.events.after(after=first.sequence) == (second, third)
    assert ledger.events.after(subject="a") == (first, third)
    assert ledger.events.after(limit=1) == (first,)


def test_the_newest_events_are_chosen_by_subject_and_kind(ledger: Ledger) -> None:
    told = [("1.2.3", "a"), ("1.2.34", "b"), ("1.2.3", "b"), ("vna%", "b"), ("1.9", "a")]
    events = [ledger.events.record(kind, subject, "text") for subject, kind in told]
    assert ledger.events.newest(limit=2) == tuple(events[-2:])
    assert ledger.events.newest(beginning="1.2.3") == tuple(events[:3])
    assert ledger.events.newest(subjects={"1.2.3", "1.9"}) == (events[0], events[2], events[4])
    assert ledger.events.newest(beginning="1.2", kind="b") == (events[1], events[2])
    assert ledger.events.newest(beginning="%") == ()


@pytest.mark.parametrize("change", ["UPDATE events SET text = 'forged'", "DELETE FROM events"])
def test_the_database_refuses_to_change_the_trail(ledger: Ledger, database_url: str, change: str) -> None:
    event = ledger.events.record("note", "a", "the truth")
    database = Database(database_url)
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), database.writing() as connection:
        connection.execute(sa.text(change))
    database.close()
    assert ledger.events.after() == (event,)


def test_a_reader_misses_no_event_of_many_writers(ledger: Ledger, new_database: Callable[[], str]) -> None:
    """A number that appears after a higher one was read would be missed for ever."""
    seen: list[int] = []

    def read(_: object) -> None:
        seen.extend(event.sequence for event in ledger.events.after(after=seen[-1] if seen else 0))

    with ThreadPoolExecutor(8) as writers, ThreadPoolExecutor(1) as reader:
        written = [writers.submit(ledger.events.record, "note", "a", str(number)) for number in range(200)]
        while not all(each.done() for each in written):
            reader.submit(read, None).result()
        reader.submit(read, None).result()
    assert seen == [event.sequence for event in ledger.events.after()]
    assert len(seen) == 200
