"""Jobs whose flow ended without recording a result (a full disk, a database that was away) are found and failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.domain.job import JobState
from orchestrator.engine import FlowState, FlowStatus
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.reconcile import KILLS_PROCESS, NO_RESULT, Reconciler
from tests.data.records import add_jobs, job_record, key_of

KEY = key_of("job")


class Flows:
    """Stands where the engine does: how each flow stands."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], FlowState] = {}

    def status(self, flow: str, key: str) -> FlowStatus | None:
        state = self.states.get((flow, key))
        return None if state is None else FlowStatus(flow, key, state, 1, "")

    def parked(self) -> tuple[FlowStatus, ...]:
        found = [FlowStatus(*name, state, 4, "") for name, state in self.states.items()]
        return tuple(status for status in found if status.state is FlowState.PARKED)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


@pytest.fixture
def flows() -> Flows:
    return Flows()


@pytest.fixture
def reconciler(ledger: Ledger, flows: Flows) -> Reconciler:
    return Reconciler(ledger, flows)  # type: ignore[arg-type]


def job_in(ledger: Ledger, *states: JobState) -> None:
    add_jobs(ledger, job_record())
    for state in states:
        ledger.jobs.move(KEY, state)


@pytest.mark.parametrize("ended", [FlowState.RAISED, FlowState.FINISHED, FlowState.CANCELLED])
def test_a_running_job_whose_flow_has_ended_fails_and_can_be_retried(
    reconciler: Reconciler, flows: Flows, ledger: Ledger, ended: FlowState
) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = ended
    reconciler.fail_lost_jobs()
    job = ledger.jobs.get(KEY)
    assert (job.state, job.reason) == (JobState.FAILED, NO_RESULT)


@pytest.mark.parametrize("alive", [FlowState.QUEUED, FlowState.RUNNING])
def test_a_running_job_whose_flow_lives_is_left_alone(
    reconciler: Reconciler, flows: Flows, ledger: Ledger, alive: FlowState
) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = alive
    reconciler.fail_lost_jobs()
    assert ledger.jobs.get(KEY).state is JobState.RUNNING


def test_a_job_that_is_being_delivered_needs_no_flow(reconciler: Reconciler, flows: Flows, ledger: Ledger) -> None:
    job_in(ledger, JobState.RUNNING, JobState.DELIVERING)
    ledger.deliveries.add(KEY, "pacs")
    flows.states["infer", KEY] = FlowState.FINISHED
    reconciler.fail_lost_jobs()
    assert ledger.jobs.get(KEY).state is JobState.DELIVERING


def test_what_ends_its_process_each_time_is_parked(reconciler: Reconciler, flows: Flows, ledger: Ledger) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", KEY] = FlowState.PARKED
    reconciler.park_killers()
    job = ledger.jobs.get(KEY)
    assert (job.state, job.reason) == (JobState.PARKED, KILLS_PROCESS)


def test_a_parked_flow_of_another_ledger_stops_nothing(reconciler: Reconciler, flows: Flows, ledger: Ledger) -> None:
    job_in(ledger, JobState.RUNNING)
    flows.states["infer", "f" * 64] = FlowState.PARKED
    flows.states["infer", KEY] = FlowState.PARKED
    reconciler.park_killers()
    assert ledger.jobs.get(KEY).state is JobState.PARKED
