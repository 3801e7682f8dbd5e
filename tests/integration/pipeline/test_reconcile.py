"""What ended and could not say how (a full disk, a database that was away) is found, told and repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryRecord, DeliveryState
from orchestrator.engine import FlowState, FlowStatus
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery import Delivery
from orchestrator.pipeline.reconcile import DIED, UNTOLD, Care
from tests.data.records import add_jobs, job_record, key_of

KEY = key_of("job")
LONG_AGO = datetime.now(UTC) - timedelta(minutes=1)


class Flows:
    """Stands where the engine does: how each flow stands, and which were started again."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], FlowState] = {}
        self.repeated: list[str] = []

    def status(self, flow: str, key: str) -> FlowStatus | None:
        state = self.states.get((flow, key))
        return None if state is None else FlowStatus(flow, key, state, 1, "")

    def parked(self) -> tuple[FlowStatus, ...]:
        found = [FlowStatus(*name, state, 4, "") for name, state in self.states.items()]
        return tuple(status for status in found if status.state is FlowState.PARKED)

    def again(self, flow: str, key: str) -> None:
        self.repeated.append(key)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


@pytest.fixture
def flows() -> Flows:
    return Flows()


@pytest.fixture
def care(ledger: Ledger, flows: Flows) -> Care:
    pacs = SimpleNamespace(retry_hours=1e6)
    delivery = Delivery(ledger, {"pacs": pacs}, folders=None, observers=None)  # type: ignore[arg-type,dict-item]
    return Care(ledger, flows, delivery, SimpleNamespace(), 900.0)  # type: ignore[arg-type]


def job_in(ledger: Ledger, *states: JobState) -> None:
    add_jobs(ledger, job_record())
    for state in states:
        ledger.jobs.move(KEY, state)


def delivery_in(ledger: Ledger, state: DeliveryState, attempts: int) -> DeliveryRecord:
    job_in(ledger, JobState.RUNNING, JobState.DELIVERING)
    ledger.deliveries.add(KEY, "pacs")
    return ledger.deliveries.move(KEY, "pacs", state, attempts=attempts, next_attempt_at=LONG_AGO)


@pytest.mark.parametrize("ended", [FlowState.RAISED, FlowState.FINISHED, FlowState.CANCELLED])
def test_a_running_job_whose_flow_has_ended_fails_and_can_be_retried(
    care: Care, flows: Flows, ledger: Ledger, ended: FlowState
) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = ended
    care.end_untold_jobs()
    job = ledger.jobs.get(KEY)
    assert (job.state, job.reason) == (JobState.FAILED, UNTOLD)


@pytest.mark.parametrize("alive", [FlowState.QUEUED, FlowState.RUNNING])
def test_a_running_job_whose_flow_lives_is_left_alone(
    care: Care, flows: Flows, ledger: Ledger, alive: FlowState
) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = alive
    care.end_untold_jobs()
    assert ledger.jobs.get(KEY).state is JobState.RUNNING


def test_a_job_that_is_being_delivered_needs_no_flow(care: Care, flows: Flows, ledger: Ledger) -> None:
    delivery_in(ledger, DeliveryState.WAITING, 1)
    flows.states["infer", KEY] = FlowState.FINISHED
    care.end_untold_jobs()
    assert ledger.jobs.get(KEY).state is JobState.DELIVERING


def test_a_delivery_under_way_whose_flow_has_ended_is_made_again_later(
    care: Care, flows: Flows, ledger: Ledger
) -> None:
    delivery_in(ledger, DeliveryState.SENDING, 2)
    flows.states["deliver", f"{KEY}:pacs:2"] = FlowState.RAISED
    care.repeat_untold_deliveries()
    (row,) = ledger.deliveries.of_job(KEY)
    assert (row.state, row.error) == (DeliveryState.WAITING, UNTOLD)
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > datetime.now(UTC)


def test_a_delivery_under_way_to_a_destination_that_left_the_settings_is_parked(
    care: Care, flows: Flows, ledger: Ledger
) -> None:
    job_in(ledger, JobState.RUNNING, JobState.DELIVERING)
    ledger.deliveries.add(KEY, "gone")
    ledger.deliveries.move(KEY, "gone", DeliveryState.SENDING, attempts=1)
    flows.states["deliver", f"{KEY}:gone:1"] = FlowState.RAISED
    care.repeat_untold_deliveries()
    (row,) = ledger.deliveries.of_job(KEY)
    assert (row.state, row.error) == (DeliveryState.PARKED, "destination 'gone' is not in the settings any more")


def test_a_due_delivery_whose_attempt_was_used_up_is_repeated(care: Care, flows: Flows, ledger: Ledger) -> None:
    delivery_in(ledger, DeliveryState.WAITING, 2)
    flows.states["deliver", f"{KEY}:pacs:3"] = FlowState.RAISED
    care.repeat_untold_deliveries()
    assert flows.repeated == [f"{KEY}:pacs:3"]


def test_a_due_delivery_that_is_queued_is_left_alone(care: Care, flows: Flows, ledger: Ledger) -> None:
    delivery_in(ledger, DeliveryState.WAITING, 2)
    flows.states["deliver", f"{KEY}:pacs:3"] = FlowState.QUEUED
    care.repeat_untold_deliveries()
    assert flows.repeated == []


def test_what_ends_its_process_each_time_is_parked(care: Care, flows: Flows, ledger: Ledger) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = FlowState.PARKED
    care.park_killers()
    job = ledger.jobs.get(KEY)
    assert (job.state, job.reason) == (JobState.PARKED, DIED)


def test_an_attempt_that_killed_its_process_is_parked_unless_a_later_one_was_made(
    care: Care, flows: Flows, ledger: Ledger
) -> None:
    delivery_in(ledger, DeliveryState.SENDING, 2)
    flows.states["deliver", f"{KEY}:pacs:1"] = FlowState.PARKED
    care.park_killers()
    assert ledger.deliveries.of_job(KEY)[0].state is DeliveryState.SENDING
    flows.states["deliver", f"{KEY}:pacs:2"] = FlowState.PARKED
    care.park_killers()
    assert ledger.deliveries.of_job(KEY)[0].state is DeliveryState.PARKED
    assert ledger.jobs.get(KEY).state is JobState.PARKED


def test_a_parked_flow_of_another_ledger_stops_nothing(care: Care, flows: Flows, ledger: Ledger) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", "f" * 64] = FlowState.PARKED
    flows.states["infer", KEY] = FlowState.PARKED
    care.park_killers()
    assert ledger.jobs.get(KEY).state is JobState.PARKED
