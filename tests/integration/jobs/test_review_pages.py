from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import REVIEW_MOVES, ReviewState
from orchestrator.jobs import Ledger
from tests.data.records import NOON, add_jobs, add_results, job_record, key_of, verdict

KEY = key_of("job")


def test_a_job_without_a_result_has_no_review(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    assert ledger.review(KEY) is None
    assert ledger.results() == ()
    with pytest.raises(UnknownRecord, match="has no result to review"):
        ledger.add_review(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)


def test_a_review_is_opened_once_and_never_over_a_verdict(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)
    ledger.open_review(KEY, NOON + timedelta(hours=1))
    assert [review.state for review in ledger.reviews(KEY)] == [ReviewState.PENDING, ReviewState.ACCEPTED]


def test_the_newest_verdict_counts_and_all_are_kept(ledger: Ledger) -> None:
    add_results(ledger)
    accepted = ledger.add_review(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)
    rejected = ledger.add_review(verdict(ReviewState.REJECTED, reason="wrong-side"), seen=ReviewState.ACCEPTED)
    assert ledger.review(KEY) == rejected
    assert ledger.reviews(KEY)[1:] == (accepted, rejected)
    assert ledger.results(states={ReviewState.ACCEPTED}) == ()


def test_whoever_is_second_is_told_who_was_first(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.ACCEPTED, by="Dr Curie"), seen=ReviewState.PENDING)
    with pytest.raises(ForbiddenTransition, match="Dr Curie already accepted this at 2026-03-02 12:00 UTC"):
        ledger.add_review(verdict(ReviewState.REJECTED), seen=ReviewState.PENDING)


def test_of_many_reviewers_at_once_one_is_heard(ledger: Ledger) -> None:
    add_results(ledger)

    def judge(number: int) -> str:
        try:
            ledger.add_review(verdict(ReviewState.ACCEPTED, by=f"Dr {number}"), seen=ReviewState.PENDING)
        except ForbiddenTransition as told:
            return str(told)
        return "heard"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(judge, range(8)))
    heard = ledger.reviews(KEY)[-1].by
    assert answers.count("heard") == 1
    assert all(answer == "heard" or answer.startswith(f"{heard} already accepted") for answer in answers)


def test_a_verdict_that_is_no_move_is_refused(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.SUPERSEDED, by=""), seen=ReviewState.PENDING)
    with pytest.raises(ForbiddenTransition, match="a result that is superseded cannot become accepted"):
        ledger.add_review(verdict(ReviewState.ACCEPTED), seen=ReviewState.SUPERSEDED)
    assert len(ledger.reviews(KEY)) == 2


@pytest.mark.parametrize("before", [state for state in ReviewState if ReviewState.RETRACTED in REVIEW_MOVES[state]])
def test_a_retracted_result_takes_no_verdict_whatever_was_said_before(ledger: Ledger, before: ReviewState) -> None:
    add_results(ledger)
    if before is not ReviewState.PENDING:
        ledger.add_review(verdict(before), seen=ReviewState.PENDING)
    ledger.add_review(verdict(ReviewState.RETRACTED), seen=before)
    with pytest.raises(ForbiddenTransition, match="a result that is retracted cannot become accepted"):
        ledger.add_review(verdict(ReviewState.ACCEPTED), seen=ReviewState.RETRACTED)


def test_a_retracted_result_stays_retracted_when_its_job_is_superseded(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.RETRACTED), seen=ReviewState.PENDING)
    ledger.move_job(KEY, JobState.SUPERSEDED)
    assert ledger.review(KEY).state is ReviewState.RETRACTED


def test_what_was_corrected_and_where_a_verdict_came_from_is_kept(ledger: Ledger) -> None:
    add_results(ledger)
    change = {"what": "volume", "before": 41.5, "after": 40.0, "unit": "ml"}
    said = verdict(ReviewState.CORRECTED, changes=(change,), source="pacs", evidence="2.25.7", agreement={"bone": 0.93})
    ledger.add_review(said, seen=ReviewState.PENDING)
    assert ledger.review(KEY) == said


def test_what_was_corrected_may_be_corrected_again(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.CORRECTED), seen=ReviewState.PENDING)
    again = ledger.add_review(verdict(ReviewState.CORRECTED, by="Dr Curie"), seen=ReviewState.CORRECTED)
    assert ledger.review(KEY) == again


def test_a_verdict_is_an_event_with_its_author(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.add_review(verdict(ReviewState.REJECTED, reason="incomplete"), seen=ReviewState.PENDING)
    event = ledger.events(subject=KEY)[-1]
    assert (event.kind, event.text, event.by) == (
        "review.rejected",
        "pending -> rejected: incomplete",
        "Dr Roentgen",
    )


def test_results_come_by_urgency_then_priority_then_age(ledger: Ledger) -> None:
    order = [
        job_record("immediate", urgency=Urgency.IMMEDIATE, priority=Priority.BACKFILL),
        job_record("urgent", urgency=Urgency.URGENT),
        job_record("non-urgent", urgency=Urgency.NON_URGENT),
        job_record("stat", priority=Priority.STAT),
        job_record("old", created_at=NOON - timedelta(hours=1)),
        job_record("new"),
    ]
    for job in reversed(order):
        add_jobs(ledger, job)
        ledger.open_review(job.key, NOON)
    results = ledger.results()
    assert [job for job, _ in results] == order
    assert {review.state for _, review in results} == {ReviewState.PENDING}
    assert ledger.results(limit=2) == results[:2]


def test_results_are_counted_by_their_newest_verdict(ledger: Ledger) -> None:
    add_results(ledger, ("a", "b", "c"))
    ledger.add_review(verdict(ReviewState.ACCEPTED, job="a"), seen=ReviewState.PENDING)
    counted = ledger.count_results()
    assert set(counted) == set(ReviewState)
    assert (counted[ReviewState.PENDING], counted[ReviewState.ACCEPTED]) == (2, 1)


def test_a_superseded_result_waits_for_no_verdict(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.move_job(KEY, JobState.SUPERSEDED)
    assert ledger.review(KEY).state is ReviewState.SUPERSEDED
    assert ledger.results(states={ReviewState.PENDING}) == ()


def test_a_cancelled_job_is_no_result(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.move_job(KEY, JobState.FAILED, reason="cancelled by Dr Curie")
    assert ledger.results() == ()
    assert ledger.count_results()[ReviewState.PENDING] == 0
