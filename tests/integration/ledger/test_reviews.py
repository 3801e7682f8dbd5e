from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import VERDICTS, ReviewState
from orchestrator.domain.worklist import ResultFilter
from orchestrator.ledger import Ledger
from tests.data.records import NOON, add_jobs, add_results, job_record, key_of, verdict

KEY = key_of("job")


def test_a_job_without_a_result_has_no_review(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    assert ledger.reviews.newest(KEY) is None
    assert ledger.results.search() == ()
    with pytest.raises(UnknownRecord, match="has no result to review"):
        ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)


def test_a_review_is_opened_once_and_never_over_a_verdict(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)
    ledger.reviews.open(KEY, NOON + timedelta(hours=1))
    assert [review.state for review in ledger.reviews.of_job(KEY)] == [ReviewState.PENDING, ReviewState.ACCEPTED]


def test_the_newest_verdict_counts_and_all_are_kept(ledger: Ledger) -> None:
    add_results(ledger)
    accepted = ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.PENDING)
    rejected = ledger.reviews.add(verdict(ReviewState.REJECTED, reason="wrong-side"), seen=ReviewState.ACCEPTED)
    assert ledger.reviews.newest(KEY) == rejected
    assert ledger.reviews.of_job(KEY)[1:] == (accepted, rejected)
    assert ledger.results.search(ResultFilter(states=frozenset({ReviewState.ACCEPTED}))) == ()


def test_whoever_is_second_is_told_who_was_first(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.ACCEPTED, by="Dr Curie"), seen=ReviewState.PENDING)
    with pytest.raises(ForbiddenTransition, match="Dr Curie already accepted this result at 2026-03-02 12:00 UTC"):
        ledger.reviews.add(verdict(ReviewState.REJECTED), seen=ReviewState.PENDING)


def test_of_many_reviewers_at_once_one_is_heard(ledger: Ledger) -> None:
    add_results(ledger)

    def judge(number: int) -> str:
        try:
            ledger.reviews.add(verdict(ReviewState.ACCEPTED, by=f"Dr {number}"), seen=ReviewState.PENDING)
        except ForbiddenTransition as told:
            return str(told)
        return "heard"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(judge, range(8)))
    heard = ledger.reviews.of_job(KEY)[-1].by
    assert answers.count("heard") == 1
    assert all(answer == "heard" or answer.startswith(f"{heard} already accepted") for answer in answers)


def test_a_verdict_that_is_no_move_is_refused(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.SUPERSEDED, by=""), seen=ReviewState.PENDING)
    with pytest.raises(ForbiddenTransition, match="a result that is superseded cannot become accepted"):
        ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.SUPERSEDED)
    assert len(ledger.reviews.of_job(KEY)) == 2


@pytest.mark.parametrize("before", [ReviewState.PENDING, *VERDICTS])
@pytest.mark.parametrize("second_reader", SecondReader)
def test_a_retracted_result_takes_no_verdict_whatever_was_said_before(
    ledger: Ledger, before: ReviewState, second_reader: SecondReader
) -> None:
    add_results(ledger)
    newest = ledger.reviews.newest(KEY)
    if before is not ReviewState.PENDING:
        newest = ledger.reviews.add(verdict(before), seen=ReviewState.PENDING, second_reader=second_reader)
    ledger.reviews.add(verdict(ReviewState.RETRACTED), seen=newest.state)
    with pytest.raises(ForbiddenTransition, match="a result that is retracted cannot become accepted"):
        ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.RETRACTED)


def test_a_retracted_result_stays_retracted_when_its_job_is_superseded(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.RETRACTED), seen=ReviewState.PENDING)
    ledger.jobs.move(KEY, JobState.SUPERSEDED)
    assert ledger.reviews.newest(KEY).state is ReviewState.RETRACTED


def test_what_was_corrected_and_where_a_verdict_came_from_is_kept(ledger: Ledger) -> None:
    add_results(ledger)
    change = {"what": "volume", "before": 41.5, "after": 40.0, "unit": "ml"}
    said = verdict(ReviewState.CORRECTED, changes=(change,), source="pacs", evidence="2.25.7", agreement={"bone": 0.93})
    ledger.reviews.add(said, seen=ReviewState.PENDING)
    assert ledger.reviews.newest(KEY) == said


def test_what_was_corrected_may_be_corrected_again(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.CORRECTED), seen=ReviewState.PENDING)
    again = ledger.reviews.add(verdict(ReviewState.CORRECTED, by="Dr Curie"), seen=ReviewState.CORRECTED)
    assert ledger.reviews.newest(KEY) == again


def test_who_corrects_a_correction_has_seen_that_very_one(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.CORRECTED), seen=ReviewState.PENDING)
    again = verdict(ReviewState.CORRECTED, by="Dr Curie", at=NOON + timedelta(minutes=1))
    ledger.reviews.add(again, seen=ReviewState.CORRECTED, seen_at=NOON)
    with pytest.raises(ForbiddenTransition, match="Dr Curie already corrected this"):
        ledger.reviews.add(verdict(ReviewState.CORRECTED), seen=ReviewState.CORRECTED, seen_at=NOON)


def first_reading(ledger: Ledger, state: ReviewState = ReviewState.ACCEPTED) -> ReviewRecord:
    add_results(ledger)
    return ledger.reviews.add(verdict(state), seen=ReviewState.PENDING, second_reader=SecondReader.ALL)


def test_a_first_verdict_waits_for_a_second_reader(ledger: Ledger) -> None:
    waits = first_reading(ledger)
    assert ledger.reviews.newest(KEY) == waits
    assert [review.state for review in ledger.reviews.of_job(KEY)] == ["pending", "accepted", "second-reader"]
    assert ledger.events.after(subject=KEY)[-1].text == "waits for a second reader"


def test_the_first_reader_is_not_the_second(ledger: Ledger) -> None:
    first_reading(ledger)
    with pytest.raises(ForbiddenTransition, match="Dr Roentgen gave the first verdict"):
        ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.SECOND_READER)
    assert ledger.reviews.newest(KEY).state is ReviewState.SECOND_READER


def test_a_second_verdict_that_agrees_stands(ledger: Ledger) -> None:
    first_reading(ledger)
    second = verdict(ReviewState.ACCEPTED, by="Dr Curie")
    assert ledger.reviews.add(second, seen=ReviewState.SECOND_READER, second_reader=SecondReader.ALL) == second
    assert ledger.reviews.newest(KEY) == second


def test_readers_who_disagree_are_settled_by_a_third_verdict(ledger: Ledger) -> None:
    first_reading(ledger)
    ledger.reviews.add(verdict(ReviewState.REJECTED, by="Dr Curie"), seen=ReviewState.SECOND_READER)
    assert ledger.results.count()[ReviewState.DISAGREED] == 1
    third = verdict(ReviewState.REJECTED, by="Dr Meitner")
    ledger.reviews.add(third, seen=ReviewState.DISAGREED, second_reader=SecondReader.ALL)
    assert ledger.reviews.newest(KEY) == third


def test_a_verdict_that_is_changed_later_is_read_again(ledger: Ledger) -> None:
    first_reading(ledger)
    ledger.reviews.add(verdict(ReviewState.ACCEPTED, by="Dr Curie"), seen=ReviewState.SECOND_READER)
    changed = verdict(ReviewState.REJECTED, by="Dr Curie")
    waits = ledger.reviews.add(changed, seen=ReviewState.ACCEPTED, second_reader=SecondReader.OVERRULED)
    assert waits.state is ReviewState.SECOND_READER


def test_a_verdict_is_an_event_with_its_author(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.reviews.add(verdict(ReviewState.REJECTED, reason="incomplete"), seen=ReviewState.PENDING)
    event = ledger.events.after(subject=KEY)[-1]
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
        ledger.reviews.open(job.key, NOON)
    results = ledger.results.search()
    assert [job for job, _ in results] == order
    assert {review.state for _, review in results} == {ReviewState.PENDING}
    assert ledger.results.search(limit=2) == results[:2]


def test_results_are_counted_by_their_newest_verdict(ledger: Ledger) -> None:
    add_results(ledger, ("a", "b", "c"))
    ledger.reviews.add(verdict(ReviewState.ACCEPTED, job="a"), seen=ReviewState.PENDING)
    counted = ledger.results.count()
    assert set(counted) == set(ReviewState)
    assert (counted[ReviewState.PENDING], counted[ReviewState.ACCEPTED]) == (2, 1)


def test_a_superseded_result_waits_for_no_verdict(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.jobs.move(KEY, JobState.SUPERSEDED)
    assert ledger.reviews.newest(KEY).state is ReviewState.SUPERSEDED
    assert ledger.results.search(ResultFilter(states=frozenset({ReviewState.PENDING}))) == ()


def test_a_cancelled_job_is_no_result(ledger: Ledger) -> None:
    add_results(ledger)
    ledger.jobs.move(KEY, JobState.FAILED, reason="cancelled by Dr Curie")
    assert ledger.results.search() == ()
    assert ledger.results.count()[ReviewState.PENDING] == 0


URGENT_NODULE = {"name": "Nodule", "value": "present", "urgency": "urgent"}


def corrected_urgency(after: str) -> ReviewRecord:
    change = {"at": "findings/0/urgency", "what": "Nodule, urgency", "before": "urgent", "after": after, "unit": ""}
    return verdict(ReviewState.CORRECTED, changes=(change,))


@pytest.mark.parametrize(("after", "urgency"), [("immediate", Urgency.IMMEDIATE), ("none", None)])
def test_a_result_is_as_urgent_as_a_person_says(ledger: Ledger, after: str, urgency: Urgency | None) -> None:
    add_results(ledger, urgency=Urgency.URGENT, findings=(URGENT_NODULE,))
    ledger.reviews.add(corrected_urgency(after), seen=ReviewState.PENDING)
    assert ledger.jobs.get(KEY).urgency is urgency


def test_a_correction_that_does_not_stand_any_more_leaves_the_models_urgency(ledger: Ledger) -> None:
    add_results(ledger, urgency=Urgency.URGENT, findings=(URGENT_NODULE,))
    ledger.reviews.add(corrected_urgency("none"), seen=ReviewState.PENDING)
    ledger.reviews.add(verdict(ReviewState.ACCEPTED), seen=ReviewState.CORRECTED)
    assert ledger.jobs.get(KEY).urgency is Urgency.URGENT


def test_an_urgency_that_waits_for_a_second_reader_does_not_count_yet(ledger: Ledger) -> None:
    add_results(ledger, urgency=Urgency.URGENT, findings=(URGENT_NODULE,))
    ledger.reviews.add(corrected_urgency("none"), seen=ReviewState.PENDING, second_reader=SecondReader.ALL)
    assert ledger.jobs.get(KEY).urgency is Urgency.URGENT
