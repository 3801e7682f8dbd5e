"""A version that was retracted runs no more: its jobs are held before they run, and when they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.domain.job import JobState
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.records import RetractionRecord
from orchestrator.ledger import Ledger
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.jobs.inference import Inference
from tests.data.records import NOON, add_jobs, job_record, key_of

KEY = key_of("job")
FAULTY = job_record()
ORDER = RetractionRecord(
    model=FAULTY.model, model_version=FAULTY.model_version, reason="mirrored", by="Ada", organization="R", at=NOON
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        add_jobs(opened, FAULTY)
        yield opened


def inference(ledger: Ledger, folder: Path, digest: str = FAULTY.model_digest, version: str = "1.0") -> Inference:
    """Return the flow with this model installed."""
    model = ModelDescription(name=FAULTY.model, version=version, digest=digest)
    runner = SimpleNamespace(models=lambda: {FAULTY.model: model})
    folders, destinations = Folders(folder, folder), {"pacs": SimpleNamespace()}
    return Inference(ledger, runner, destinations=destinations, folders=folders, observers=None)  # type: ignore[arg-type]


def test_a_job_of_the_version_is_held_when_its_turn_comes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.withdrawals.order(ORDER)
    ledger.jobs.move(KEY, JobState.WAITING)  # somebody tries it again, or a new series came
    inference(ledger, tmp_path)(KEY)
    job = ledger.jobs.get(KEY)
    assert (job.state, job.reason) == (JobState.HELD, ORDER.why_held)


def test_a_job_that_ran_while_its_version_was_retracted_hands_nothing_over(ledger: Ledger, tmp_path: Path) -> None:
    ledger.jobs.move(KEY, JobState.RUNNING)
    ledger.withdrawals.order(ORDER)
    inference(ledger, tmp_path).hand_over(KEY)
    assert ledger.jobs.get(KEY).state is JobState.HELD
    assert (ledger.deliveries.of_job(KEY), ledger.reviews.newest(KEY)) == ((), None)


def test_a_held_job_runs_with_the_mended_version(ledger: Ledger, tmp_path: Path) -> None:
    ledger.withdrawals.order(ORDER)
    ledger.jobs.move(KEY, JobState.WAITING)
    inference(ledger, tmp_path, digest="d2" * 32, version="1.1")(KEY)
    (successor,) = ledger.jobs.search(states=(JobState.WAITING,))
    assert ledger.jobs.get(KEY).state is JobState.SUPERSEDED
    assert (successor.model_version, successor.series_uid) == ("1.1", FAULTY.series_uid)


def test_an_order_for_a_time_that_is_over_stops_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.withdrawals.order(replace(ORDER, until=NOON))
    ledger.jobs.move(KEY, JobState.RUNNING)
    inference(ledger, tmp_path).hand_over(KEY)
    assert ledger.jobs.get(KEY).state is JobState.DELIVERING
