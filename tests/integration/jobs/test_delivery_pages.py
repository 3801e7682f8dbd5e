from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import Priority
from orchestrator.domain.records import DELIVERY_MOVES, DeliveryState, SeriesState
from orchestrator.jobs import Ledger
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of

KEY = key_of("job")
LONG_AFTER = NOON + timedelta(days=3650)


def due(ledger: Ledger, now: datetime = LONG_AFTER) -> list[str]:
    return [delivery.job_key for delivery in ledger.due_deliveries(now)]


def test_a_delivery_is_added_once_for_each_destination(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    assert [ledger.add_delivery(KEY, name) for name in ("pacs", "vna", "pacs")] == [True, True, False]
    assert [delivery.destination for delivery in ledger.deliveries(KEY)] == ["pacs", "vna"]


def test_nothing_is_due_before_its_series_is_released(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.add_delivery(KEY, "pacs")
    assert due(ledger) == []
    assert ledger.release_deliveries(SERIES, 1, NOON) == 1
    assert (due(ledger, NOON - timedelta(seconds=1)), due(ledger, NOON)) == ([], [KEY])


def test_a_delivery_of_a_released_series_is_due_at_once(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.move_series(SERIES, 1, SeriesState.RELEASED)
    ledger.add_delivery(KEY, "pacs")
    assert due(ledger) == [KEY]


def test_a_release_leaves_other_revisions_and_later_attempts_alone(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(), job_record("second", revision=2))
    ledger.add_delivery(KEY, "pacs")
    ledger.add_delivery(key_of("second"), "pacs")
    later = NOON + timedelta(hours=1)
    ledger.move_delivery(KEY, "pacs", DeliveryState.WAITING, next_attempt_at=later, attempts=1)
    assert ledger.release_deliveries(SERIES, 1, NOON) == 0
    assert ledger.deliveries(KEY)[0].next_attempt_at == later
    assert due(ledger) == [KEY]


def test_due_deliveries_come_by_priority_then_by_time(ledger: Ledger) -> None:
    order = [("stat", Priority.STAT, 3), ("early", Priority.ROUTINE, 1), ("late", Priority.ROUTINE, 2)]
    for name, priority, minutes in reversed(order):
        add_jobs(ledger, job_record(name, priority=priority))
        ledger.add_delivery(key_of(name), "pacs")
        at = NOON + timedelta(minutes=minutes)
        ledger.move_delivery(key_of(name), "pacs", DeliveryState.WAITING, next_attempt_at=at)
    assert due(ledger) == [key_of(name) for name, _, _ in order]
    assert len(ledger.due_deliveries(LONG_AFTER, limit=2)) == 2


def test_what_is_under_way_or_parked_is_not_due(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.move_series(SERIES, 1, SeriesState.RELEASED)
    for state in (DeliveryState.SENDING, DeliveryState.PARKED):
        ledger.add_delivery(KEY, "pacs")
        ledger.move_delivery(KEY, "pacs", state)
        assert due(ledger) == []


def test_a_confirmation_is_kept_with_its_kind_and_time(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.add_delivery(KEY, "pacs")
    ledger.move_delivery(KEY, "pacs", DeliveryState.SENDING, attempts=1)
    confirmed = ledger.move_delivery(KEY, "pacs", DeliveryState.CONFIRMED, confirmed_by="readback")
    assert ledger.deliveries(KEY) == (confirmed,)
    assert (confirmed.confirmed_by, confirmed.attempts) == ("readback", 1)
    assert confirmed.confirmed_at is not None


def test_a_failed_attempt_keeps_its_error_and_tells_it_in_an_event(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.add_delivery(KEY, "pacs")
    ledger.move_delivery(KEY, "pacs", DeliveryState.WAITING, error="no answer", attempts=1, next_attempt_at=NOON)
    assert ledger.deliveries(KEY)[0].error == "no answer"
    assert ledger.events(subject=KEY)[-1].text == "to pacs: waiting -> waiting: no answer"


@pytest.mark.parametrize("before", DeliveryState)
def test_a_delivery_moves_only_along_its_law(ledger: Ledger, before: DeliveryState) -> None:
    add_jobs(ledger, job_record())
    for after in DeliveryState:
        way = f"pacs {after.name}"
        ledger.add_delivery(KEY, way)
        ledger.move_delivery(KEY, way, before)
        if after in DELIVERY_MOVES[before]:
            assert ledger.move_delivery(KEY, way, after).state is after
        else:
            with pytest.raises(ForbiddenTransition, match=f"is {before} and cannot become {after}"):
                ledger.move_delivery(KEY, way, after)


def test_an_unknown_delivery_is_named(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    with pytest.raises(UnknownRecord, match="has no delivery to pacs"):
        ledger.move_delivery(KEY, "pacs", DeliveryState.SENDING)


def test_a_discarded_delivery_is_taken_up_again_with_its_attempts(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.add_delivery(KEY, "pacs")
    ledger.move_delivery(KEY, "pacs", DeliveryState.DISCARDED, error="the job is failed", attempts=3)
    assert ledger.add_delivery(KEY, "pacs")
    (row,) = ledger.deliveries(KEY)
    assert (row.state, row.attempts, row.error) == (DeliveryState.WAITING, 3, "")
