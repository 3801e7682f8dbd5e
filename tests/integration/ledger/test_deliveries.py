from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import Priority
from orchestrator.domain.records import DELIVERY_MOVES, DeliveryState, SeriesState
from orchestrator.ledger import Ledger
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of, object_record

KEY = key_of("job")
LONG_AFTER = NOON + timedelta(days=3650)


def due(ledger: Ledger, now: datetime = LONG_AFTER) -> list[str]:
    return [delivery.job_key for delivery in ledger.deliveries.due(now)]


def test_a_delivery_is_added_once_for_each_destination(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    assert [ledger.deliveries.add(KEY, name) for name in ("pacs", "vna", "pacs")] == [True, True, False]
    assert [delivery.destination for delivery in ledger.deliveries.of_job(KEY)] == ["pacs", "vna"]


def test_nothing_is_due_before_its_series_is_released(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    assert due(ledger) == []
    assert ledger.deliveries.release(SERIES, 1, NOON) == 1
    assert (due(ledger, NOON - timedelta(seconds=1)), due(ledger, NOON)) == ([], [KEY])


def test_a_delivery_of_a_released_series_is_due_at_once(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.series.move(SERIES, 1, SeriesState.RELEASED)
    ledger.deliveries.add(KEY, "pacs")
    assert due(ledger) == [KEY]


def test_a_release_leaves_other_revisions_and_later_attempts_alone(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(), job_record("second", revision=2))
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.add(key_of("second"), "pacs")
    later = NOON + timedelta(hours=1)
    ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING, next_attempt_at=later, attempts=1)
    assert ledger.deliveries.release(SERIES, 1, NOON) == 0
    assert ledger.deliveries.of_job(KEY)[0].next_attempt_at == later
    assert due(ledger) == [KEY]


def test_due_deliveries_come_by_priority_then_by_the_age_of_the_job(ledger: Ledger) -> None:
    order = [("stat", Priority.STAT, 3), ("early", Priority.ROUTINE, 1), ("late", Priority.ROUTINE, 2)]
    for name, priority, minutes in reversed(order):
        add_jobs(ledger, job_record(name, priority=priority, created_at=NOON + timedelta(minutes=minutes)))
        ledger.deliveries.add(key_of(name), "pacs")
        ledger.deliveries.move(key_of(name), "pacs", DeliveryState.WAITING, next_attempt_at=NOON)
    assert due(ledger) == [key_of(name) for name, _, _ in order]
    assert len(ledger.deliveries.due(LONG_AFTER, limit=2)) == 2


def test_due_deliveries_are_told_for_each_destination(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.series.move(SERIES, 1, SeriesState.RELEASED)
    for name in ("pacs", "vna"):
        ledger.deliveries.add(KEY, name)
    ledger.deliveries.move(KEY, "vna", DeliveryState.SENDING)
    assert ledger.deliveries.due_destinations(LONG_AFTER) == {"pacs"}
    assert [row.destination for row in ledger.deliveries.due(LONG_AFTER, destination="pacs")] == ["pacs"]
    assert ledger.deliveries.due(LONG_AFTER, destination="vna") == ()


def test_an_attempt_that_a_wrong_clock_put_off_for_years_is_due(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING, next_attempt_at=LONG_AFTER)
    assert due(ledger, NOON) == [KEY]
    assert due(ledger, LONG_AFTER - timedelta(hours=20)) == []


def test_a_postponed_delivery_waits_and_says_why(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    evening = NOON + timedelta(hours=8)
    ledger.deliveries.postpone(KEY, "pacs", evening, "waits for the hours 20:00-06:00")
    (row,) = ledger.deliveries.of_job(KEY)
    assert (row.next_attempt_at, row.error, row.attempts) == (evening, "waits for the hours 20:00-06:00", 0)
    assert ledger.events.after(subject=KEY)[-1].text == "to pacs: waits for the hours 20:00-06:00"
    assert (ledger.deliveries.recall("vna", NOON), ledger.deliveries.recall("pacs", NOON)) == (0, 1)
    assert due(ledger, NOON) == [KEY]


def test_what_is_on_its_way_cannot_be_postponed(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    sending = ledger.deliveries.move(KEY, "pacs", DeliveryState.SENDING, attempts=1)
    ledger.deliveries.postpone(KEY, "pacs", LONG_AFTER, "too late")
    assert ledger.deliveries.of_job(KEY) == (sending,)


def test_a_delivery_that_was_given_up_and_waits_again_has_not_failed_yet(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING, error="no answer", failing_since=NOON)
    assert ledger.deliveries.move(KEY, "pacs", DeliveryState.PARKED, error="given up").failing_since == NOON
    assert ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING).failing_since is None


def test_objects_that_take_the_place_of_others_were_not_sent(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.record_sent(KEY, "pacs", NOON, sent=[])
    assert ledger.deliveries.of_job(KEY)[0].sent_at == NOON
    ledger.objects.put(KEY, [object_record("anew")], replace=True)
    assert ledger.deliveries.of_job(KEY)[0].sent_at is None


def test_what_is_under_way_or_parked_is_not_due(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.series.move(SERIES, 1, SeriesState.RELEASED)
    for state in (DeliveryState.SENDING, DeliveryState.PARKED):
        ledger.deliveries.add(KEY, "pacs")
        ledger.deliveries.move(KEY, "pacs", state)
        assert due(ledger) == []


def test_a_confirmation_is_kept_with_its_kind_and_time(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.move(KEY, "pacs", DeliveryState.SENDING, attempts=1)
    confirmed = ledger.deliveries.move(KEY, "pacs", DeliveryState.CONFIRMED, confirmed_by="readback")
    assert ledger.deliveries.of_job(KEY) == (confirmed,)
    assert (confirmed.confirmed_by, confirmed.attempts) == ("readback", 1)
    assert confirmed.confirmed_at is not None


def test_a_failed_attempt_keeps_its_error_and_tells_it_in_an_event(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING, error="no answer", attempts=1, next_attempt_at=NOON)
    assert ledger.deliveries.of_job(KEY)[0].error == "no answer"
    assert ledger.events.after(subject=KEY)[-1].text == "to pacs: waiting -> waiting: no answer"


@pytest.mark.parametrize("before", DeliveryState)
def test_a_delivery_moves_only_along_its_law(ledger: Ledger, before: DeliveryState) -> None:
    add_jobs(ledger, job_record())
    for after in DeliveryState:
        way = f"pacs {after.name}"
        ledger.deliveries.add(KEY, way)
        ledger.deliveries.move(KEY, way, before)
        if after in DELIVERY_MOVES[before]:
            assert ledger.deliveries.move(KEY, way, after).state is after
        else:
            with pytest.raises(ForbiddenTransition, match=f"is {before} and cannot become {after}"):
                ledger.deliveries.move(KEY, way, after)


def test_an_unknown_delivery_is_named(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    with pytest.raises(UnknownRecord, match="has no delivery to pacs"):
        ledger.deliveries.move(KEY, "pacs", DeliveryState.SENDING)


def test_a_discarded_delivery_is_taken_up_again_with_its_attempts(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.deliveries.add(KEY, "pacs")
    ledger.deliveries.move(KEY, "pacs", DeliveryState.DISCARDED, error="the job is failed", attempts=3)
    assert ledger.deliveries.add(KEY, "pacs")
    (row,) = ledger.deliveries.of_job(KEY)
    assert (row.state, row.attempts, row.error) == (DeliveryState.WAITING, 3, "")
