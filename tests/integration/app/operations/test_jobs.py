"""What a person may do with jobs that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.app.operations.jobs import Desk
from orchestrator.dicom import WriteOptions
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, Note, ObjectKind
from orchestrator.domain.review import ReviewState
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from tests.data.records import NOON, add_jobs, job_record, key_of, object_record, verdict

KEY = key_of("job")
SENT = frozenset({ObjectKind.SR, ObjectKind.SC})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(Ledger.open(url)) as ledger, closing(Client(url)) as client:
        yield Desk(ledger, client, destinations={"pacs": WriteOptions(objects=SENT)})


def test_a_held_job_can_be_cancelled_and_released_later_all_the_same(desk: Desk) -> None:
    add_jobs(desk.ledger, job_record(state=JobState.HELD))
    cancelled = desk.cancel(KEY, by="Ada")
    assert (cancelled.state, cancelled.reason) == (JobState.FAILED, "cancelled by Ada")
    assert desk.retry(KEY, by="Ada").state is JobState.WAITING


def test_a_job_that_ended_by_itself_cannot_be_cancelled(desk: Desk) -> None:
    add_jobs(desk.ledger, job_record(state=JobState.UNSUPPORTED))
    with pytest.raises(ForbiddenTransition, match="is unsupported and does nothing that could be cancelled"):
        desk.cancel(KEY, by="Ada")


def refused(desk: Desk, *kinds: ObjectKind) -> None:
    """Put a job into the ledger whose result, of these kinds of objects, the archive refused."""
    add_jobs(desk.ledger, job_record())
    for state in (JobState.RUNNING, JobState.DELIVERING):
        desk.ledger.jobs.move(KEY, state)
    desk.ledger.objects.put(KEY, [replace(object_record(kind.value), kind=kind) for kind in kinds])
    desk.ledger.deliveries.add(KEY, "pacs")
    desk.ledger.deliveries.move(KEY, "pacs", DeliveryState.PARKED, error="refused")
    desk.ledger.jobs.move(KEY, JobState.PARKED)


def test_a_refused_result_is_written_again_for_settings_that_ask_for_what_it_lacks(desk: Desk) -> None:
    refused(desk, ObjectKind.SEG, ObjectKind.SR)
    assert desk.retry(KEY, by="Ada").state is JobState.WAITING
    (row,) = desk.ledger.deliveries.of_job(KEY)
    assert row.state is DeliveryState.DISCARDED
    assert desk.ledger.deliveries.add(KEY, "pacs")  # as the run does at its end


def test_a_refused_result_that_is_as_the_settings_ask_is_delivered_again(desk: Desk) -> None:
    refused(desk, ObjectKind.SR, ObjectKind.SC)
    assert desk.retry(KEY, by="Ada").state is JobState.DELIVERING
    assert desk.ledger.deliveries.of_job(KEY)[0].state is DeliveryState.WAITING


def test_a_result_that_is_in_an_archive_is_never_written_again(desk: Desk) -> None:
    refused(desk, ObjectKind.SEG, ObjectKind.SR)
    desk.ledger.deliveries.add(KEY, "vna")
    desk.ledger.deliveries.move(KEY, "vna", DeliveryState.CONFIRMED, confirmed_by="readback")
    assert desk.retry(KEY, by="Ada").state is JobState.DELIVERING


def test_a_note_that_was_given_up_is_sent_again_and_the_job_stays_as_it_is(desk: Desk) -> None:
    add_jobs(desk.ledger, job_record())
    for state in (JobState.RUNNING, JobState.DELIVERING):
        desk.ledger.jobs.move(KEY, state)
    desk.ledger.reviews.open(KEY, NOON)
    desk.ledger.deliveries.add(KEY, "pacs")
    desk.ledger.deliveries.move(KEY, "pacs", DeliveryState.CONFIRMED)
    desk.ledger.jobs.move(KEY, JobState.DONE)
    desk.ledger.withdrawals.retract(verdict(ReviewState.RETRACTED))
    desk.ledger.deliveries.move(KEY, "pacs", DeliveryState.PARKED, note=Note.RETRACTED)
    assert desk.retry(KEY, by="Ada").state is JobState.DONE
    (note,) = desk.ledger.withdrawals.notes(KEY)
    assert note.state is DeliveryState.WAITING
