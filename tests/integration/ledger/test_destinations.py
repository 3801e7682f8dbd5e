from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.records import DeliveryState, DestinationRecord, SeriesState
from orchestrator.ledger import Ledger
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of

MINUTE = timedelta(minutes=1)


def fail(ledger: Ledger, times: int) -> DestinationRecord:
    for number in range(1, times + 1):
        record = ledger.destination_failed("pacs", NOON + number * MINUTE, "no answer", most=3)
    return record


def test_a_destination_that_nobody_asked_answers(ledger: Ledger) -> None:
    assert ledger.destination("pacs") == DestinationRecord(name="pacs")
    assert ledger.destinations_away() == ()


def test_a_destination_is_away_after_so_many_failures_and_that_is_told_once(ledger: Ledger) -> None:
    assert fail(ledger, 2).away_since is None
    assert fail(ledger, 3).away_since == NOON + MINUTE
    assert ledger.destinations_away() == (ledger.destination("pacs"),)
    assert [event.kind for event in ledger.events(subject="pacs")] == ["destination.away"]


def test_an_answer_between_two_failures_counts(ledger: Ledger) -> None:
    fail(ledger, 2)
    ledger.destination_answered("pacs")
    assert fail(ledger, 2).away_since is None
    assert ledger.events(subject="pacs") == ()


def test_the_return_of_a_destination_is_told_once(ledger: Ledger) -> None:
    fail(ledger, 5)
    ledger.destination_answered("pacs")
    ledger.destination_answered("pacs")
    assert ledger.destination("pacs") == DestinationRecord(name="pacs")
    away, back = ledger.events(subject="pacs")
    assert away.text == "3 attempts without an answer: no answer"
    assert (back.kind, back.text) == ("destination.back", "answers again, away since 2026-03-02 12:03 UTC")


def test_what_waits_is_counted_by_destination_once_it_is_released(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("one"), job_record("two"), job_record("other", revision=2))
    for name in ("one", "two", "other"):
        ledger.add_delivery(key_of(name), "pacs")
    assert ledger.count_waiting() == {}
    ledger.move_series(SERIES, 1, SeriesState.RELEASED)
    ledger.release_deliveries(SERIES, 1, NOON)
    assert ledger.count_waiting() == {"pacs": 2}


def test_what_was_sent_is_counted_by_destination_and_time(ledger: Ledger) -> None:
    add_jobs(ledger, *map(job_record, "abc"))
    for number, name in enumerate("abc"):
        ledger.add_delivery(key_of(name), "pacs")
        ledger.note_sent(key_of(name), "pacs", NOON + number * MINUTE, sent=[])
    assert ledger.count_sent("pacs", NOON, NOON + MINUTE) == 1
    assert (ledger.count_sent("pacs", NOON - MINUTE, NOON + MINUTE), ledger.count_sent("vna", NOON, NOON)) == (2, 0)


def test_what_is_on_its_way_is_counted_by_destination(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    for name in ("pacs", "vna"):
        ledger.add_delivery(key_of("job"), name)
    ledger.move_delivery(key_of("job"), "pacs", DeliveryState.SENDING, attempts=1)
    assert (ledger.count_sending("pacs"), ledger.count_sending("vna")) == (1, 0)
