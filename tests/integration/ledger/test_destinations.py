from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.records import DestinationRecord, SeriesState
from orchestrator.ledger import Ledger
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of

MINUTE = timedelta(minutes=1)


def fail(ledger: Ledger, times: int) -> DestinationRecord:
    for number in range(1, times + 1):
        record = ledger.destinations.record_failure("pacs", NOON + number * MINUTE, "no answer", most=3)
    return record


def test_a_destination_that_nobody_asked_answers(ledger: Ledger) -> None:
    assert ledger.destinations.get("pacs") == DestinationRecord(name="pacs")
    assert ledger.destinations.unreachable() == ()


def test_a_destination_is_away_after_so_many_failures_and_that_is_told_once(ledger: Ledger) -> None:
    assert fail(ledger, 2).away_since is None
    assert fail(ledger, 3).away_since == NOON + MINUTE
    assert ledger.destinations.unreachable() == (ledger.destinations.get("pacs"),)
    assert [event.kind for event in ledger.events.after(subject="pacs")] == ["destination.away"]


def test_an_answer_between_two_failures_counts(ledger: Ledger) -> None:
    fail(ledger, 2)
    ledger.destinations.record_answer("pacs")
    assert fail(ledger, 2).away_since is None
    assert ledger.events.after(subject="pacs") == ()


def test_the_return_of_a_destination_is_told_once(ledger: Ledger) -> None:
    fail(ledger, 5)
    ledger.destinations.record_answer("pacs")
    ledger.destinations.record_answer("pacs")
    assert ledger.destinations.get("pacs") == DestinationRecord(name="pacs")
    away, back = ledger.events.after(subject="pacs")
    assert away.text == "3 attempts without an answer: no answer"
    assert (back.kind, back.text) == ("destination.back", "answers again, away since 2026-03-02 12:03 UTC")


def test_what_waits_is_counted_by_destination_once_it_is_released(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("one"), job_record("two"), job_record("other", revision=2))
    for name in ("one", "two", "other"):
        ledger.deliveries.add(key_of(name), "pacs")
    assert ledger.destinations.count_waiting() == {}
    ledger.series.move(SERIES, 1, SeriesState.RELEASED)
    ledger.deliveries.release(SERIES, 1, NOON)
    assert ledger.destinations.count_waiting() == {"pacs": 2}


def test_what_was_sent_is_counted_by_destination_and_time(ledger: Ledger) -> None:
    add_jobs(ledger, *map(job_record, "abc"))
    for number, name in enumerate("abc"):
        ledger.deliveries.add(key_of(name), "pacs")
        ledger.deliveries.record_sent(key_of(name), "pacs", NOON + number * MINUTE, sent=[])
    assert ledger.destinations.count_sent("pacs", NOON, NOON + MINUTE) == 1
    assert (
        ledger.destinations.count_sent("pacs", NOON - MINUTE, NOON + MINUTE),
        ledger.destinations.count_sent("vna", NOON, NOON),
    ) == (2, 0)
