"""Jobs are found with their reasons, and retried or cancelled where that is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.pipeline.jobs.control import can_cancel, can_retry
from orchestrator.web import create_app
from tests.data.reading_room import Drawings, ReadingRoom, ended, fill, now


def test_every_job_is_listed_with_its_reason(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get("/jobs").text
    assert "the worker process ended with signal 6 (abort)" in text
    assert "gantry-tilt: the gantry is tilted by 12.5 degrees" in text


def test_jobs_can_be_filtered_by_state(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get("/jobs?state=failed").text
    assert room.keys["crashed"][:12] in text
    assert room.keys["tilted"][:12] not in text


def test_a_job_tells_everything_that_happened_to_it(visitor, room: ReadingRoom):
    job = ended(room, "crashed", JobState.FAILED, "signal 6")
    text = visitor.get(f"/jobs/{job.key}").text
    assert "job.waiting" in text
    assert "running -&gt; failed: signal 6" in text


def test_the_states_that_can_be_retried_are_those_that_may_wait_again(room: ReadingRoom):
    job = room.job("brain")
    jobs = [replace(job, state=state) for state in JobState]
    retried = {each.state for each in jobs if can_retry(room.ledger, each)}
    assert retried == {"failed", "parked", "held", "unsupported", "not-applicable"}
    cancelled = {each.state for each in jobs if can_cancel(room.ledger, each)}
    assert cancelled == {"waiting", "running", "delivering", "parked", "held"}


@pytest.mark.parametrize(("state", "order"), [(JobState.FAILED, "retry"), (JobState.UNSUPPORTED, "retry")])
def test_an_ended_job_offers_to_be_tried_again(visitor, room: ReadingRoom, state, order):
    job = ended(room, "over", state, "")
    assert f'action="/jobs/{job.key}/{order}"' in visitor.get(f"/jobs/{job.key}").text


def test_a_waiting_job_offers_to_be_cancelled(visitor, room: ReadingRoom):
    job = room.job("waits")
    assert f'action="/jobs/{job.key}/cancel"' in visitor.get(f"/jobs/{job.key}").text


@pytest.mark.parametrize("state", [JobState.HELD, JobState.PARKED])
def test_a_job_that_waits_for_a_person_can_be_tried_again_or_cancelled(visitor, room: ReadingRoom, state):
    job = room.ledger.jobs.move(room.job("over").key, state)
    page = visitor.get(f"/jobs/{job.key}").text
    assert f'action="/jobs/{job.key}/retry"' in page
    assert f'action="/jobs/{job.key}/cancel"' in page


def test_a_destination_that_is_away_is_told_above_the_jobs(visitor, room: ReadingRoom):
    room.result("brain", delivery=DeliveryState.WAITING)
    assert "does not answer" not in visitor.get("/jobs").text
    for _ in range(3):
        room.ledger.destinations.record_failure("pacs", now(), "no answer", most=3)
    assert "1 delivery waits for it and will be retried" in visitor.get("/jobs").text


def test_a_done_job_offers_neither(visitor, room: ReadingRoom):
    job = room.result("brain")
    assert '<form method="post"' not in visitor.get(f"/jobs/{job.key}").text


@pytest.mark.parametrize("order", ["retry", "cancel"])
def test_an_order_is_passed_on_with_its_author(visitor, room: ReadingRoom, told, order):
    job = ended(room, "crashed", JobState.FAILED, "")
    answer = visitor.post(f"/jobs/{job.key}/{order}", data={"by": "Ada Okafor"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.key}")
    assert told == [(order, job.key, "Ada Okafor")]


def test_an_order_needs_a_name(visitor, room: ReadingRoom, told):
    job = ended(room, "crashed", JobState.FAILED, "")
    assert visitor.post(f"/jobs/{job.key}/retry", data={"by": " "}).status_code == 422
    assert told == []


def test_an_order_that_is_refused_says_why(visitor, room: ReadingRoom):
    def refuse(key: str, by: str) -> None:
        raise ForbiddenTransition("a job that is done cannot become waiting")

    job = room.result("brain")
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={}, retry=refuse)
    answer = visitor.post(f"/jobs/{job.key}/retry", data={"by": "Ada"})
    assert answer.status_code == 409
    assert "A job that is done cannot become waiting" in answer.text


def test_pages_that_were_given_no_orders_refuse_them(visitor, room: ReadingRoom):
    job = room.job("waits")
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={})
    assert visitor.post(f"/jobs/{job.key}/cancel", data={"by": "Ada"}).status_code == 409


@pytest.mark.parametrize("path", ["/jobs/abcdef123456", "/jobs/abcdef123456/retry"])
def test_an_unknown_job_is_not_found(visitor, path):
    ask = visitor.get if path.endswith("6") else visitor.post
    options = {} if path.endswith("6") else {"data": {"by": "Ada"}}
    assert ask(path, **options).status_code == 404
