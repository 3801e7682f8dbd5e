"""What a person may do with jobs that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.desk import Desk
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import JobState
from orchestrator.jobs import Client, Ledger
from tests.data.records import add_jobs, job_record, key_of

KEY = key_of("job")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(Ledger.open(url)) as ledger, closing(Client(url)) as client:
        yield Desk(ledger, client, destinations=["pacs"])


def test_a_held_job_can_be_cancelled_and_released_later_all_the_same(desk: Desk) -> None:
    add_jobs(desk.ledger, job_record(state=JobState.HELD))
    cancelled = desk.cancel(KEY, by="Ada")
    assert (cancelled.state, cancelled.reason) == (JobState.FAILED, "cancelled by Ada")
    assert desk.retry(KEY, by="Ada").state is JobState.WAITING


def test_a_job_that_ended_by_itself_cannot_be_cancelled(desk: Desk) -> None:
    add_jobs(desk.ledger, job_record(state=JobState.UNSUPPORTED))
    with pytest.raises(ForbiddenTransition, match="is unsupported and does nothing that could be cancelled"):
        desk.cancel(KEY, by="Ada")
