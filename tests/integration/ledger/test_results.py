"""The worklist as the ledger gives it: filtered, in order, in pages, counted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.domain.worklist import Order, ResultFilter
from orchestrator.ledger import Ledger
from tests.data.records import NOON, add_jobs, job_record, key_of, verdict

MORNING = {
    "old": {"model": "bone", "created_at": NOON - timedelta(days=2)},
    "urgent": {"model": "nodule", "urgency": Urgency.URGENT},
    "immediate": {"model": "bone", "urgency": Urgency.IMMEDIATE, "created_at": NOON + timedelta(minutes=1)},
    "judged": {"model": "nodule", "created_at": NOON + timedelta(minutes=2)},
}
NAMES = {key_of(name): name for name in MORNING}


@pytest.fixture
def morning(ledger: Ledger) -> Ledger:
    for name, facts in MORNING.items():
        add_jobs(ledger, job_record(name, **facts))
        ledger.reviews.open(key_of(name), NOON)
    ledger.reviews.add(verdict(ReviewState.ACCEPTED, job="judged"), seen=ReviewState.PENDING)
    return ledger


def names(ledger: Ledger, wanted: ResultFilter = ResultFilter(), **how: object) -> list[str]:  # noqa: B008  a frozen value
    return [NAMES[job.key] for job, _ in ledger.results.search(wanted, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ResultFilter(model="bone"), ["immediate", "old"]),
        (ResultFilter(states=frozenset({ReviewState.ACCEPTED})), ["judged"]),
        (ResultFilter(urgencies=frozenset({Urgency.URGENT, Urgency.IMMEDIATE})), ["immediate", "urgent"]),
        (ResultFilter(urgencies=frozenset({None})), ["old", "judged"]),
        (ResultFilter(urgencies=frozenset({Urgency.URGENT, None})), ["urgent", "old", "judged"]),
        (ResultFilter(since=NOON), ["immediate", "urgent", "judged"]),
        (ResultFilter(model="bone", states=frozenset({ReviewState.ACCEPTED})), []),
    ],
)
def test_filters_leave_what_meets_all_of_them(morning: Ledger, wanted: ResultFilter, found: list[str]) -> None:
    assert names(morning, wanted) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (Order.URGENCY, ["immediate", "urgent", "old", "judged"]),
        (Order.OLDEST, ["old", "urgent", "immediate", "judged"]),
        (Order.NEWEST, ["judged", "immediate", "urgent", "old"]),
        (Order.MODEL, ["immediate", "old", "urgent", "judged"]),
        (Order.STATE, ["immediate", "urgent", "old", "judged"]),
    ],
)
def test_results_come_in_the_order_that_is_asked_for(morning: Ledger, order: Order, found: list[str]) -> None:
    assert names(morning, order=order) == found


@pytest.mark.parametrize("order", Order)
def test_pages_together_are_the_whole_list(morning: Ledger, order: Order) -> None:
    pages = [name for offset in range(4) for name in names(morning, order=order, limit=1, offset=offset)]
    assert pages == names(morning, order=order)


def test_each_count_leaves_its_own_filter_out(morning: Ledger) -> None:
    wanted = ResultFilter(frozenset({ReviewState.PENDING}), "bone", frozenset({Urgency.IMMEDIATE}))
    assert morning.results.count(wanted)[ReviewState.PENDING] == 1
    assert morning.results.count_models(wanted) == {"bone": 1}
    assert morning.results.count_urgencies(wanted) == {
        Urgency.IMMEDIATE: 1,
        Urgency.URGENT: 0,
        Urgency.NON_URGENT: 0,
        None: 1,
    }
