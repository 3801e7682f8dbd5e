"""What each destination is given, and when: by priority and age, by its hours and rate, around an outage of it.

The archive is a stand-in that can be away, slow to commit or choosy; ledger and flow are real, the clock is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, ForbiddenTransition
from orchestrator.domain.hours import Hours
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.records import DeliveryRecord, DeliveryState, SeriesState
from orchestrator.domain.result import Urgency
from orchestrator.domain.series import StudyIdentity
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.delivery.schedule import MOST_FAILURES
from tests.data.records import NOON, SERIES, add_jobs, job_record, key_of, object_record
from tests.parts.archive.post import SECOND, Post

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Archive:
    """An archive that is away, chokes on some files or commits late, as a test wants it."""

    name: str = "pacs"
    away: bool = False
    chokes_on: set[str] = field(default_factory=set)
    commits: bool | None = True  # None: no answer in time
    taken: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def echo(self) -> float:
        self._answer("echo")
        return 0.01

    def store(self, paths: Sequence[Path]) -> None:
        self._answer("store")
        if self.chokes_on & {path.stem for path in paths}:
            raise ArchiveUnavailable("pacs ended the association")
        self.taken += [path.stem for path in paths]

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        self._answer("missing")
        held = {object_record(name).sop_uid for name in self.taken}
        return frozenset(reference.sop_uid for reference in references if reference.sop_uid not in held)

    def uncommitted(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        self._answer("uncommitted")
        if self.commits is None:
            raise ArchiveUnavailable("no answer in time")
        return frozenset() if self.commits else frozenset(reference.sop_uid for reference in references)

    def identity(self, study_uid: str) -> StudyIdentity | None:
        raise AssertionError("these destinations are not asked")

    def _answer(self, call: str) -> None:
        self.calls.append(call)
        if self.away:
            raise ArchiveUnavailable("pacs does not answer")


@dataclass(kw_only=True)
class PacsPost(Post):
    """Released results for one archive, and its settings."""

    archive: Archive = field(default_factory=Archive)
    settings: dict[str, Any] = field(default_factory=dict)

    def results(self, *names: str, **changes: Any) -> None:
        """Put finished jobs with one object each into the ledger, the first name the oldest."""
        for number, name in enumerate(names):
            age = (len(names) - number) * MINUTE
            add_jobs(self.ledger, job_record(name, created_at=NOON - age, **{"model": name, **changes}))
            for state in (JobState.RUNNING, JobState.DELIVERING):
                self.ledger.jobs.move(key_of(name), state)
            self.ledger.objects.put(key_of(name), [object_record(name, name)])
            self.ledger.deliveries.add(key_of(name), "pacs")
        with suppress(ForbiddenTransition):  # it is released already
            self.ledger.series.move(SERIES, 1, SeriesState.RELEASED)
        self.ledger.deliveries.release(SERIES, 1, self.now)
        self.ledger.deliveries.recall("pacs", self.now)

    def pacs(self) -> dict[str, Destination]:
        return {"pacs": Destination("pacs", self.archive, **{"ask": False, "confirm": "none", **self.settings})}  # type: ignore[arg-type]

    def row(self, name: str = "one") -> DeliveryRecord:
        return self.ledger.deliveries.of_job(key_of(name))[0]

    def waiting(self) -> int:
        return self.ledger.destinations.count_waiting().get("pacs", 0)

    def told(self) -> list[str]:
        return [event.kind for event in self.ledger.events.after(subject="pacs")]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[PacsPost]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        made = PacsPost(ledger, tmp_path, dict)
        made.destinations = made.pacs
        yield made


# --- the order ---------------------------------------------------------------------------------------------


def test_stat_goes_before_urgent_before_routine_and_the_older_before_the_newer(post: PacsPost) -> None:
    post.results("routine 1", "routine 2")
    post.results("backfill", priority=Priority.BACKFILL)
    post.results("urgent", priority=Priority.URGENT)
    post.results("stat", priority=Priority.STAT)
    post.run()
    assert post.archive.taken == ["stat", "urgent", "routine 1", "routine 2", "backfill"]


def test_a_stat_result_passes_those_that_wait_already(post: PacsPost) -> None:
    names = [f"routine {number}" for number in range(20)]
    post.results(*names)
    post.delivery.send_next("pacs")
    post.results("stat", priority=Priority.STAT)
    post.run()
    assert post.archive.taken == [names[0], "stat", *names[1:]]


# --- an outage ---------------------------------------------------------------------------------------------


def test_an_outage_of_hours_costs_few_attempts_and_is_drained_in_order(post: PacsPost) -> None:
    names = [f"routine {number:02}" for number in range(30)]
    post.results(*names)
    post.archive.away = True
    post.run(6 * HOUR, every=5 * SECOND)
    attempts = post.archive.calls.count("store")
    assert attempts == MOST_FAILURES
    assert post.archive.calls.count("echo") < 6 * 60
    assert post.told() == ["destination.away"]
    post.results("stat", priority=Priority.STAT)
    post.archive.away = False
    post.run(10 * MINUTE, every=5 * SECOND)
    assert post.told() == ["destination.away", "destination.back"]
    assert post.waiting() == 0
    first, *rest = post.archive.taken  # the first was the trial
    assert rest == sorted(rest, key=lambda name: (name != "stat", name))
    assert {first, *rest} == {"stat", *names}


def test_a_destination_that_is_away_is_asked_by_one_result_at_a_time(post: PacsPost) -> None:
    post.results("one", "two", "three", "four", "five")
    post.archive.away = True
    post.run()
    post.archive.calls.clear()
    post.run(10 * SECOND)
    assert post.archive.calls == ["echo"]


def test_an_archive_that_drops_one_result_again_and_again_gets_the_others(post: PacsPost) -> None:
    post.archive.chokes_on = {"poison"}
    post.results("poison", priority=Priority.STAT)
    post.run(HOUR)
    post.results("one", "two")
    post.run(10 * MINUTE)
    assert post.archive.taken == ["one", "two"]
    assert post.row("poison").state is DeliveryState.WAITING


def test_an_answer_between_failures_keeps_a_destination_present(post: PacsPost) -> None:
    post.archive.chokes_on = {"first", "third", "fourth"}
    post.results("first", "second", "third", "fourth")
    post.run()
    assert post.told() == []
    assert post.archive.taken == ["second"]


def test_a_refusal_is_an_answer(post: PacsPost) -> None:
    post.archive.echo = lambda: (_ for _ in ()).throw(ArchiveRefused("no echo here"))  # type: ignore[assignment,method-assign]
    post.results("one", "two", "three", "four")
    post.archive.away = True
    post.run()
    post.archive.away = False
    post.run(MINUTE)
    assert post.told() == ["destination.away", "destination.back"]
    assert post.waiting() == 0


def test_what_waited_before_an_outage_keeps_its_place_and_its_attempts(post: PacsPost) -> None:
    post.results("one", "two", "three", "four", "five")
    post.archive.away = True
    post.run()
    row = post.row("five")
    assert (row.state, row.attempts, row.failing_since) == (DeliveryState.WAITING, 0, None)


# --- giving up ---------------------------------------------------------------------------------------------


def test_the_hours_count_from_the_first_attempt_that_failed(post: PacsPost) -> None:
    post.settings = {"retry_hours": 2.0}
    post.results("one")
    post.now += 30 * DAY  # its series was released late, or it was held
    post.archive.away = True
    post.run(HOUR, every=MINUTE)
    assert post.row().state is DeliveryState.WAITING
    post.run(2 * HOUR, every=MINUTE)
    assert post.row().state is DeliveryState.PARKED
    assert post.row().error == "given up after 2 h: pacs does not answer"


def test_a_parked_result_that_is_retried_after_days_gets_its_hours_again(post: PacsPost) -> None:
    post.settings = {"retry_hours": 2.0}
    post.results("one")
    post.archive.away = True
    post.run(4 * HOUR, every=MINUTE)
    post.now += 3 * DAY
    post.ledger.jobs.move(key_of("one"), JobState.DELIVERING)
    post.ledger.deliveries.move(key_of("one"), "pacs", DeliveryState.WAITING, next_attempt_at=post.now)
    post.run(HOUR, every=MINUTE)
    assert post.row().state is DeliveryState.WAITING


# --- rate and hours ----------------------------------------------------------------------------------------


def test_a_destination_gets_so_many_results_in_any_minute(post: PacsPost) -> None:
    post.settings = {"per_minute": 2}
    post.results("a", "b", "c", "d", "e")
    sent = []
    for _ in range(125):
        post.run()
        sent.append(len(post.archive.taken))
        post.now += SECOND
    assert (sent[0], sent[59], sent[61], sent[119], sent[121]) == (2, 2, 4, 4, 5)


def test_a_rate_is_kept_by_stat_too_which_goes_first(post: PacsPost) -> None:
    post.settings = {"per_minute": 1}
    post.results("routine")
    post.results("stat", priority=Priority.STAT)
    post.run()
    assert post.archive.taken == ["stat"]


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR, 30 * DAY])
def test_a_clock_that_jumps_loses_nothing_and_holds_nothing_up(post: PacsPost, jump: timedelta) -> None:
    post.settings = {"per_minute": 3}
    post.results("a", "b", "c", "d", "e")
    post.run()
    post.now += jump
    post.ledger.deliveries.recall("pacs", post.now)
    post.run(2 * MINUTE)
    assert post.archive.taken == ["a", "b", "c", "d", "e"]


def test_a_clock_that_is_put_back_while_a_destination_is_away_tries_it_all_the_same(post: PacsPost) -> None:
    post.results("one", "two", "three", "four")
    post.archive.away = True
    post.run(MINUTE)
    post.now -= 10 * DAY
    post.archive.away = False
    post.run(MINUTE)
    assert post.waiting() == 0


def test_by_day_only_what_is_urgent_goes_and_the_rest_when_the_hours_open(post: PacsPost) -> None:
    post.settings = {"hours": Hours.parse("20:00-06:00 UTC")}
    post.results("routine")
    post.results("backfill", priority=Priority.BACKFILL)
    post.results("bleeding", urgency=Urgency.IMMEDIATE)
    post.results("urgent", priority=Priority.URGENT)
    post.run(HOUR, every=MINUTE)
    assert post.archive.taken == ["urgent", "bleeding"]
    opens = NOON.replace(hour=20, minute=0, second=0, microsecond=0)
    row = post.row("routine")
    assert (row.next_attempt_at, row.error, row.attempts) == (opens, "waits for the hours 20:00-06:00 UTC", 0)
    post.run(opens - post.now, every=MINUTE)
    assert post.archive.taken == ["urgent", "bleeding", "routine", "backfill"]


def test_hours_that_left_the_settings_hold_nothing_up_after_a_restart(post: PacsPost) -> None:
    post.settings = {"hours": Hours.parse("20:00-06:00 UTC")}
    post.results("one")
    post.run()
    post.settings = {}
    post.delivery.make_all_due()
    post.run()
    assert post.archive.taken == ["one"]


# --- confirmation ------------------------------------------------------------------------------------------


def test_what_is_committed_to_is_confirmed_by_commitment(post: PacsPost) -> None:
    post.settings = {"confirm": "commitment"}
    post.results("one")
    post.run()
    assert (post.row().state, post.row().confirmed_by) == (DeliveryState.CONFIRMED, "commitment")
    assert post.ledger.jobs.get(key_of("one")).state is JobState.DONE


def test_a_commitment_that_is_not_answered_yet_is_asked_for_again_and_nothing_is_sent_again(post: PacsPost) -> None:
    post.settings = {"confirm": "commitment"}
    post.archive.commits = None
    post.results("one")
    post.run(MINUTE)
    assert post.archive.calls[:3] == ["store", "uncommitted", "uncommitted"]
    assert post.row().error == "pacs has not committed itself to 1 object(s) yet: no answer in time"
    post.archive.commits = True
    post.run(MINUTE)
    assert post.row().state is DeliveryState.CONFIRMED
    assert post.archive.calls.count("store") == 1
    assert post.told() == []


def test_what_an_archive_does_not_commit_itself_to_is_sent_again(post: PacsPost) -> None:
    post.settings = {"confirm": "commitment"}
    post.archive.commits = False
    post.results("one")
    post.run()
    assert post.row().error == "pacs took 1 object(s) but does not confirm 1 of them yet"
    post.run(2 * SECOND)
    assert post.archive.calls == ["store", "uncommitted", "uncommitted", "store", "uncommitted"]


def test_what_was_sent_before_a_crash_to_one_that_cannot_be_asked_is_not_sent_again(post: PacsPost) -> None:
    post.results("one")
    post.ledger.deliveries.record_sent(key_of("one"), "pacs", NOON, sent=[object_record("one").sop_uid])
    post.run()
    assert (post.row().state, post.archive.taken) == (DeliveryState.UNCONFIRMED, [])


def test_a_destination_gets_the_objects_of_its_form(post: PacsPost) -> None:
    post.settings = {"options": WriteOptions(label_map=True, syntax=Syntax.IMPLICIT)}
    post.results("usual")
    both = [object_record("usual", "usual"), object_record("other", "usual", form="labelmap implicit")]
    post.ledger.objects.put(key_of("usual"), both, replace=True)
    post.run()
    assert post.archive.taken == ["other"]
