"""What a person may do with jobs that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.dicom import WriteOptions
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, Note, ObjectKind
from orchestrator.domain.review import ReviewState
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.control import JobControl
from tests.data.records import NOON, add_jobs, job_record, key_of, object_record, verdict

KEY = key_of("job")
SENT = frozenset({ObjectKind.SR, ObjectKind.SC})


@pytest.fixture
def control(tmp_path: Path) -> Iterator[JobControl]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(Ledger.open(url)) as ledger, closing(Client(url)) as client:
        yield JobControl(ledger, client, destinations={"pacs": WriteOptions(objects=SENT)})


def test_a_held_job_can_be_cancelled_and_released_later_all_the_same(control: JobControl) -> None:
    add_jobs(control.ledger, job_record(state=JobState.HELD))
    cancelled = control.cancel(KEY, by="Ada")
    assert (cancelled.state, cancelled.reason) == (JobState.FAILED, "cancelled by Ada")
    assert control.retry(KEY, by="Ada").state is JobState.WAITING


def test_a_job_that_ended_by_itself_cannot_be_cancelled(control: JobControl) -> None:
    add_jobs(control.ledger, job_record(state=JobState.UNSUPPORTED))
    with pytest.raises(ForbiddenTransition, match="is unsupported and does nothing that could be cancelled"):
        control.cancel(KEY, by="Ada")


def refused(control: JobControl, *kinds: ObjectKind) -> None:
    """Put a job into the ledger whose result, of these kinds of objects, the archive refused."""
    add_jobs(control.ledger, job_record())
    for state in (JobState.RUNNING, JobState.DELIVERING):
        control.ledger.jobs.move(KEY, state)
    control.ledger.objects.put(KEY, [replace(object_record(kind.value), kind=kind) for kind in kinds])
    control.ledger.deliveries.add(KEY, "pacs")
    control.ledger.deliveries.move(KEY, "pacs", DeliveryState.PARKED, error="refused")
    control.ledger.jobs.move(KEY, JobState.PARKED)


def test_a_refused_result_is_written_again_for_settings_that_ask_for_what_it_lacks(control: JobControl) -> None:
    refused(control, ObjectKind.SEG, ObjectKind.SR)
    assert control.retry(KEY, by="Ada").state is JobState.WAITING
    (row,) = control.ledger.deliveries.of_job(KEY)
    assert row.state is DeliveryState.DISCARDED
    assert control.ledger.deliveries.add(KEY, "pacs")  # as the run does at its end


def test_a_refused_result_that_is_as_the_settings_ask_is_delivered_again(control: JobControl) -> None:
    refused(control, ObjectKind.SR, ObjectKind.SC)
    assert control.retry(KEY, by="Ada").state is JobState.DELIVERING
    assert control.ledger.deliveries.of_job(KEY)[0].state is DeliveryState.WAITING


def test_a_result_that_is_in_an_archive_is_never_written_again(control: JobControl) -> None:
    refused(control, ObjectKind.SEG, ObjectKind.SR)
    control.ledger.deliveries.add(KEY, "vna")
    control.ledger.deliveries.move(KEY, "vna", DeliveryState.CONFIRMED, confirmed_by="readback")
    assert control.retry(KEY, by="Ada").state is JobState.DELIVERING


def test_a_note_that_was_given_up_is_sent_again_and_the_job_stays_as_it_is(control: JobControl) -> None:
    add_jobs(control.ledger, job_record())
    for state in (JobState.RUNNING, JobState.DELIVERING):
        control.ledger.jobs.move(KEY, state)
    control.ledger.reviews.open(KEY, NOON)
    control.ledger.deliveries.add(KEY, "pacs")
    control.ledger.deliveries.move(KEY, "pacs", DeliveryState.CONFIRMED)
    control.ledger.jobs.move(KEY, JobState.DONE)
    control.ledger.withdrawals.retract(verdict(ReviewState.RETRACTED))
    control.ledger.deliveries.move(KEY, "pacs", DeliveryState.PARKED, note=Note.RETRACTED)
    assert control.retry(KEY, by="Ada").state is JobState.DONE
    (note,) = control.ledger.withdrawals.notes(KEY)
    assert note.state is DeliveryState.WAITING
