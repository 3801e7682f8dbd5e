"""A job that runs while the database is away goes on when it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from orchestrator.database import DatabaseUnavailable
from orchestrator.domain.job import JobState
from orchestrator.domain.model import ModelDescription
from orchestrator.engine.flows import remembering
from orchestrator.ledger import Ledger
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.jobs import outage
from orchestrator.pipeline.jobs.inference import Inference
from orchestrator.pipeline.jobs.outage import through_outages
from tests.data.records import add_jobs, job_record, key_of

KEY = key_of("job")
AWAY = sa.exc.OperationalError("SELECT 1", {}, Exception("the server closed the connection"))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time."""
    seconds: list[float] = []
    monkeypatch.setattr(outage.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        add_jobs(opened, job_record())
        yield opened


def flaky(work: Callable[..., object], times: int) -> Callable[..., object]:
    """Return the work, whose first calls find no database."""
    left = [times]

    def call(*args: object, **kwargs: object) -> object:
        if left[0]:
            left[0] -= 1
            raise AWAY
        return work(*args, **kwargs)

    return call


@pytest.mark.parametrize("place", ["get", "move", "annotate"])
def test_a_job_goes_on_after_an_outage_wherever_it_begins(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float], place: str
) -> None:
    job = ledger.jobs.get(KEY)
    model = ModelDescription(name=job.model, version=job.model_version, digest=job.model_digest)
    flow = Inference(
        ledger,
        SimpleNamespace(models=lambda: {job.model: model}),  # type: ignore[arg-type]
        destinations={"pacs": SimpleNamespace()},  # type: ignore[dict-item]
        folders=Folders(tmp_path, tmp_path),
        observers=None,  # type: ignore[arg-type]
    )
    monkeypatch.setattr(flow, "infer", lambda key: ledger.jobs.annotate(key, device="cpu"))
    monkeypatch.setattr(flow, "write", lambda key: ledger.jobs.annotate(key, seconds={"write": 1.0}))
    monkeypatch.setattr(ledger.jobs, place, flaky(getattr(ledger.jobs, place), 3))
    with remembering(lambda _, run: run()):
        flow(KEY)
    assert (ledger.jobs.get(KEY).state, ledger.jobs.get(KEY).device) == (JobState.DELIVERING, "cpu")
    assert waits == [1.0, 2.0, 4.0]


def test_an_outage_is_named_once(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert through_outages(flaky(lambda: "done", 20)) == "done"
    assert len(caplog.records) == 1
    assert max(waits) == 30.0


def test_an_outage_of_days_ends_the_wait(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage.time, "monotonic", lambda: sum(waits))
    with pytest.raises(DatabaseUnavailable):
        through_outages(flaky(lambda: None, 10**6))


def test_a_fault_of_ours_is_no_outage(waits: list[float]) -> None:
    def wrong() -> None:
        raise sa.exc.IntegrityError("INSERT", {}, Exception("twice"))

    with pytest.raises(sa.exc.IntegrityError):
        through_outages(wrong)
    assert waits == []
