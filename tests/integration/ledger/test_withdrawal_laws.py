"""In whatever order results arrive, newer ones come and orders are given: each is rejected once where it must be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.domain.job import JobState
from orchestrator.domain.records import ARRIVED, DeliveryRecord, DeliveryState, Note
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.withdrawal import Withdrawal
from orchestrator.pipeline.folders import Folders
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of, verdict

_numbers = itertools.count()
PLACES, RESULTS = ("pacs", "vna"), 3
results, places = st.integers(0, RESULTS - 1), st.sampled_from(PLACES)


class WithdrawalLaws(RuleBasedStateMachine):
    """Results of one model on one series, and two destinations; what arrived is looked up in the ledger itself."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.withdrawal = Withdrawal(ledger, Folders(Path("scratch"), Path("outbox")))  # writes no note
        self.series = f"{SERIES}.{next(_numbers)}"
        self.names: list[str] = []
        self.steps = 0

    @initialize(revisions=st.lists(st.integers(1, 2), min_size=RESULTS, max_size=RESULTS))
    def write(self, revisions: list[int]) -> None:
        for number, revision in enumerate(revisions):
            name, at = f"result {next(_numbers)}", NOON + timedelta(minutes=number)
            add_jobs(self.ledger, job_record(name, series_uid=self.series, revision=revision, created_at=at))
            for state in (JobState.RUNNING, JobState.DELIVERING):
                self.ledger.jobs.move(key_of(name), state)
            self.ledger.reviews.open(key_of(name), at)
            for place in PLACES:
                self.ledger.deliveries.add(key_of(name), place)
            self.names.append(name)

    @rule(number=results, place=places, what=st.sampled_from(["arrives"] * 8 + ["fails", "goes on"] + ["note"] * 4))
    def send(self, number: int, place: str, what: str) -> None:
        """Make one attempt to send the result, which ends so, or each note; one that goes on is ended by the next."""
        self.steps += 1
        key = key_of(self.names[number])
        if what == "note":
            self._send_notes(key, place)
            return
        row = self.ledger.deliveries.get(key, place)
        if row.state not in {DeliveryState.WAITING, DeliveryState.SENDING}:
            return
        self.ledger.deliveries.move(key, place, DeliveryState.SENDING, attempts=row.attempts + 1)
        if what == "fails":
            self.ledger.deliveries.move(key, place, DeliveryState.WAITING)
        elif what == "arrives":
            self.ledger.deliveries.move(key, place, DeliveryState.CONFIRMED)
            self.withdrawal.follow_up(self.ledger.jobs.get(key))

    @precondition(lambda self: self.steps % 4 == 3)
    @rule(number=results)
    def follow_up_again(self, number: int) -> None:
        """As after a kill."""
        key = key_of(self.names[number])
        if any(row.state in ARRIVED for row in self.ledger.deliveries.of_job(key)):
            self.withdrawal.follow_up(self.ledger.jobs.get(key))

    @precondition(lambda self: self.steps % 4 == 3)
    @rule(number=results, by=st.sampled_from(["Ada", "Bob"]))
    def retract(self, number: int, by: str) -> None:
        name = self.names[number]
        said = replace(verdict(ReviewState.RETRACTED, job=name), by=by)
        before = self.ledger.reviews.newest(key_of(name))
        assert self.ledger.withdrawals.retract(said) == (
            before is not None and before.state is not ReviewState.RETRACTED
        )

    def _send_notes(self, key: str, place: str) -> None:
        result = self.ledger.deliveries.get(key, place)
        for row in self.ledger.withdrawals.notes(key):
            if row.destination == place and row.state is DeliveryState.WAITING:
                state = DeliveryState.CONFIRMED if result.state in ARRIVED else DeliveryState.DISCARDED
                self.ledger.deliveries.move(key, place, state, note=row.note)

    @invariant()
    def what_must_be_rejected_is_owed_one_note(self) -> None:
        for name, place in itertools.product(self.names, PLACES):
            owed = [row.note for row in self._notes(name, place) if row.state is not DeliveryState.DISCARDED]
            if not self._arrived(name, place):
                continue
            if self._is_retracted(name):
                assert owed.count(Note.RETRACTED) == 1
            elif any(self._arrived(newer, place) and not self._is_retracted(newer) for newer in self._newer(name)):
                assert owed == [Note.SUPERSEDED]

    @invariant()
    def nothing_is_rejected_that_was_never_sent(self) -> None:
        for name, place in itertools.product(self.names, PLACES):
            assert self.ledger.deliveries.get(key_of(name), place).attempts or not self._notes(name, place)

    @invariant()
    def the_newest_result_stays_unless_it_is_retracted(self) -> None:
        for name in self.names:
            if not self._newer(name) and not self._is_retracted(name):
                assert self.ledger.withdrawals.notes(key_of(name)) == ()

    def _notes(self, name: str, place: str) -> list[DeliveryRecord]:
        return [row for row in self.ledger.withdrawals.notes(key_of(name)) if row.destination == place]

    def _arrived(self, name: str, place: str) -> bool:
        return self.ledger.deliveries.get(key_of(name), place).state in ARRIVED

    def _is_retracted(self, name: str) -> bool:
        review = self.ledger.reviews.newest(key_of(name))
        return review is not None and review.state is ReviewState.RETRACTED

    def _newer(self, name: str) -> list[str]:
        order = {each: self.ledger.jobs.get(key_of(each)) for each in self.names}
        mine = order[name]
        return [
            each for each, job in order.items() if (job.revision, job.created_at) > (mine.revision, mine.created_at)
        ]


def test_withdrawals_keep_their_laws(ledger: Ledger) -> None:
    laws: Callable[[], RuleBasedStateMachine] = lambda: WithdrawalLaws(ledger)  # noqa: E731
    run_state_machine_as_test(
        laws,
        settings=settings(
            max_examples=12,
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a step takes milliseconds, and shrinking thousands of them
        ),
    )
