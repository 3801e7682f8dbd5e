"""Whatever is asked of the ledger and in whatever order: jobs and reviews move along their laws, nothing is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import MOVES, JobState
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.review import CLOSED, REVIEW_MOVES, VERDICTS, WAITING, ReviewState
from orchestrator.ledger import Ledger
from tests.data.records import NOON, add_jobs, job_record, key_of, object_record, verdict

_numbers = itertools.count()


TAKES_NO_VERDICT = {JobState.FAILED, JobState.SUPERSEDED}
"""A result with a review whose job is failed was cancelled."""


class LedgerLaws(RuleBasedStateMachine):
    """A model of two dicts beside the real ledger; both must agree after every act."""

    names = Bundle("names")

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.jobs: dict[str, JobState] = {}
        self.reviews: dict[str, list[ReviewState]] = {}
        self.seen_event = ledger.events.last_sequence()

    @rule(target=names)
    def add(self) -> str:
        name = f"job {next(_numbers)}"
        add_jobs(self.ledger, job_record(name))
        self.jobs[name] = JobState.WAITING
        return name

    @rule(name=names)
    def add_again(self, name: str) -> None:
        assert not self.ledger.jobs.add(job_record(name))

    @rule(name=names, state=st.sampled_from(JobState))
    def move(self, name: str, state: JobState) -> None:
        allowed = state in MOVES[self.jobs[name]]
        try:
            self.ledger.jobs.move(key_of(name), state)
        except ForbiddenTransition:
            assert not allowed
        else:
            assert allowed
            self.jobs[name] = state
            if state is JobState.SUPERSEDED and name in self.reviews:
                self._close_review(name)

    def _close_review(self, name: str) -> None:
        if self.reviews[name][-1] not in CLOSED:
            self.reviews[name].append(ReviewState.SUPERSEDED)

    @rule(name=names)
    def open_review(self, name: str) -> None:
        self.ledger.reviews.open(key_of(name), NOON)
        self.reviews.setdefault(name, [ReviewState.PENDING])

    @rule(name=names, state=st.sampled_from(ReviewState), seen=st.sampled_from(ReviewState))
    def judge(self, name: str, state: ReviewState, seen: ReviewState) -> None:
        if name not in self.reviews:
            return
        newest = self.reviews[name][-1]
        # the bare moves, all by one person: that the second reader is another is told below
        allowed = seen is newest and state in REVIEW_MOVES[newest] and not self._reads_twice(name, state)
        allowed = allowed and self.jobs[name] not in TAKES_NO_VERDICT
        try:
            self.ledger.reviews.add(verdict(state, job=name), seen=seen)
        except ForbiddenTransition:
            assert not allowed
        else:
            assert allowed
            self.reviews[name] += self._follows(name, newest, state)

    def _reads_twice(self, name: str, state: ReviewState) -> bool:
        said = [review for review in self.ledger.reviews.of_job(key_of(name)) if review.state in VERDICTS]
        waits = self.reviews[name][-1] is ReviewState.SECOND_READER
        return waits and state in VERDICTS and bool(said) and said[-1].by == "Dr Roentgen"

    def _follows(self, name: str, newest: ReviewState, state: ReviewState) -> list[ReviewState]:
        said = [each for each in self.reviews[name] if each in VERDICTS]
        differs = newest is ReviewState.SECOND_READER and state in VERDICTS and said and said[-1] is not state
        return [state, ReviewState.DISAGREED] if differs else [state]

    @rule(
        name=names,
        state=st.sampled_from(sorted(VERDICTS)),
        by=st.sampled_from(["Dr A", "Dr B"]),
        wanted=st.sampled_from(SecondReader),
    )
    def judge_with_readers(self, name: str, state: ReviewState, by: str, wanted: SecondReader) -> None:
        if name not in self.reviews:
            return
        before = self.ledger.reviews.of_job(key_of(name))
        read_again = before[-1].state is ReviewState.SECOND_READER
        first = [review for review in before if review.state in VERDICTS][-1:] if read_again else []
        mine = any(review.by == by for review in first)
        allowed = state in REVIEW_MOVES[before[-1].state] and not mine and self.jobs[name] not in TAKES_NO_VERDICT
        try:
            newest = self.ledger.reviews.add(
                verdict(state, job=name, by=by), seen=before[-1].state, second_reader=wanted
            )
        except ForbiddenTransition:
            assert not allowed
            return
        assert allowed
        self.reviews[name] += [state] + ([newest.state] if newest.state in WAITING else [])
        if first and first[0].state is not state:
            assert newest.state is ReviewState.DISAGREED

    @rule(name=names, times=st.integers(1, 3))
    def put_objects(self, name: str, times: int) -> None:
        written = replace(object_record(f"object of {name}"), job_key=key_of(name))
        for _ in range(times):
            self.ledger.objects.put(key_of(name), [written])
        assert self.ledger.objects.of_job(key_of(name)) == (written,)

    @invariant()
    def the_ledger_agrees(self) -> None:
        assert {name: self.ledger.jobs.get(key_of(name)).state for name in self.jobs} == self.jobs
        kept = {name: [review.state for review in self.ledger.reviews.of_job(key_of(name))] for name in self.reviews}
        assert kept == self.reviews

    @invariant()
    def events_only_grow(self) -> None:
        newest = self.ledger.events.last_sequence()
        assert newest >= self.seen_event
        self.seen_event = newest


def test_the_ledger_keeps_its_laws(ledger: Ledger) -> None:
    laws: Callable[[], RuleBasedStateMachine] = lambda: LedgerLaws(ledger)  # noqa: E731
    run_state_machine_as_test(
        laws,
        settings=settings(
            max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
