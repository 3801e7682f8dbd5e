from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState, Priority, Purpose
from orchestrator.domain.result import Urgency
from orchestrator.ledger import Ledger
from tests.data.records import NOON, SERIES, STUDY, add_jobs, job_record, key_of, object_record

KEY = key_of("job")


def test_a_job_comes_back_as_it_was_added(ledger: Ledger) -> None:
    record = job_record(
        purpose=Purpose.SHADOW,
        urgency=Urgency.URGENT,
        seconds={"read": 0.5},
        findings=({"name": "Fracture", "score": 0.9},),
        measurements=({"name": "Volume", "value": 12.5, "unit": "mL"},),
        created_at=NOON.astimezone(timezone(timedelta(hours=2))),
    )
    add_jobs(ledger, record)
    assert ledger.jobs.get(KEY) == record
    assert ledger.jobs.get(KEY).created_at.utcoffset() == timedelta(0)


def test_the_same_key_is_one_job(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    assert not ledger.jobs.add(job_record(model="another"))
    assert ledger.jobs.search() == (job_record(),)


def test_many_threads_that_add_the_same_job_add_it_once(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("other"))
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: ledger.jobs.add(job_record()), range(16)))
    assert sorted(added) == [False] * 15 + [True]


def test_a_job_needs_its_series(ledger: Ledger) -> None:
    with pytest.raises(UnknownRecord, match=f"no series {SERIES} revision 1"):
        ledger.jobs.add(job_record())


def test_a_job_is_found_by_the_beginning_of_its_key(ledger: Ledger) -> None:
    keys = ["abcdef" + "0" * 58, "abcdef" + "1" * 58]
    add_jobs(ledger, *(job_record(key=key) for key in keys))
    assert ledger.jobs.get("ABCDEF1").key == keys[1]
    with pytest.raises(UnknownRecord, match="several jobs begin with abcdef"):
        ledger.jobs.get("abcdef")


def test_a_key_that_is_too_short_or_unknown_finds_nothing(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(key="abcdef" + "0" * 58))
    for key in ("abcde", "abcdeX", "%%%%%%", "______", ""):
        with pytest.raises(UnknownRecord, match="no job"):
            ledger.jobs.get(key)


def test_jobs_are_listed_newest_first_and_filtered(ledger: Ledger) -> None:
    old = job_record("old", created_at=NOON - timedelta(days=1), state=JobState.DONE)
    other = job_record("other", series_uid="1.9", study_uid="1.8", model="brain-mask")
    new = job_record("new", created_at=NOON + timedelta(days=1))
    add_jobs(ledger, old, other, new)
    assert ledger.jobs.search() == (new, other, old)
    assert ledger.jobs.search(limit=1) == (new,)
    assert ledger.jobs.search(states={JobState.DONE, JobState.FAILED}) == (old,)
    assert ledger.jobs.search(series_uid=SERIES, states={JobState.WAITING}) == (new,)
    assert ledger.jobs.search(study_uid=STUDY) == (new, old)
    assert ledger.jobs.search(model="brain-mask") == (other,)


def test_every_state_is_counted(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("a"), job_record("b"), job_record("c", state=JobState.PARKED))
    counted = ledger.jobs.count()
    assert set(counted) == set(JobState)
    assert (counted[JobState.WAITING], counted[JobState.PARKED], counted[JobState.DONE]) == (2, 1, 0)


def test_a_move_keeps_its_reason_and_its_event(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    ledger.jobs.move(KEY, JobState.FAILED, reason="the worker crashed", by="engine")
    job, event = ledger.jobs.get(KEY), ledger.events.after(subject=KEY)[-1]
    assert (job.state, job.reason) == (JobState.FAILED, "the worker crashed")
    assert (event.kind, event.text, event.by) == ("job.failed", "waiting -> failed: the worker crashed", "engine")


def test_a_forbidden_move_changes_nothing(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(state=JobState.SUPERSEDED))
    events = ledger.events.last_sequence()
    with pytest.raises(ForbiddenTransition, match=f"job {KEY[:12]}: a job that is superseded cannot become running"):
        ledger.jobs.move(KEY, JobState.RUNNING)
    assert ledger.jobs.get(KEY).state is JobState.SUPERSEDED
    assert ledger.events.last_sequence() == events


def test_of_many_that_move_a_job_at_once_one_succeeds(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(state=JobState.DELIVERING))

    def finish(number: int) -> str:
        try:
            ledger.jobs.move(KEY, JobState.DONE, by=f"thread {number}")
        except ForbiddenTransition:
            return "told"
        return "moved"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(finish, range(8))) == ["moved"] + ["told"] * 7


def test_a_note_leaves_what_it_does_not_name(ledger: Ledger) -> None:
    add_jobs(ledger, job_record(seconds={"read": 1.0}))
    ledger.jobs.annotate(KEY, device="cuda:0", seconds={"infer": 2.0}, attempts=2)
    noted = ledger.jobs.annotate(KEY, urgency=Urgency.IMMEDIATE, findings=[{"name": "Bleed"}], seconds={"read": 1.5})
    assert noted == ledger.jobs.get(KEY)
    assert (noted.device, noted.attempts, noted.urgency) == ("cuda:0", 2, Urgency.IMMEDIATE)
    assert (noted.seconds, noted.findings) == ({"read": 1.5, "infer": 2.0}, ({"name": "Bleed"},))


def test_notes_of_many_threads_are_all_kept(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ledger.jobs.annotate(KEY, seconds={f"part-{number}": number}), range(16)))
    assert len(ledger.jobs.get(KEY).seconds) == 16


def test_objects_come_back_in_their_order_and_are_put_once(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    given = tuple(object_record(name) for name in ("seg", "sr", "ko"))
    ledger.objects.put(KEY, given)
    ledger.objects.put(KEY, given)
    assert ledger.objects.of_job(KEY) == given


def test_a_result_in_several_forms_is_shown_in_one(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    labelmap, usual = object_record("labelmap", form="labelmap"), object_record("usual")
    ledger.objects.put(KEY, [labelmap, usual])
    assert ledger.objects.of_job(KEY) == (usual,)
    assert ledger.objects.of_job(KEY, "labelmap") == (labelmap,)
    assert ledger.objects.of_all_forms(KEY) == (labelmap, usual)


def test_what_was_written_in_no_such_form_is_sent_as_it_was_written(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    written = object_record("labelmap", form="labelmap")
    ledger.objects.put(KEY, [written])
    assert ledger.objects.of_job(KEY) == ledger.objects.of_job(KEY, "implicit") == (written,)


def test_replaced_objects_are_not_delivered_but_stay_known_as_ours(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    first, second = object_record("first"), object_record("second")
    ledger.objects.put(KEY, [first])
    ledger.objects.put(KEY, [second], replace=True)
    assert ledger.objects.of_job(KEY) == (second,)
    assert ledger.objects.known([first.sop_uid, second.sop_uid]) == {first.sop_uid, second.sop_uid}


def test_a_retry_that_writes_the_same_objects_brings_them_back(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    for name in ("first", "second", "first"):
        ledger.objects.put(KEY, [object_record(name)], replace=True)
    assert ledger.objects.of_job(KEY) == (object_record("first"),)


def test_priorities_survive(ledger: Ledger) -> None:
    add_jobs(ledger, *(job_record(priority, priority=priority) for priority in Priority))
    assert {job.priority for job in ledger.jobs.search()} == set(Priority)
