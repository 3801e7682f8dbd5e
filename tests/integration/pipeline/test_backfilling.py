"""A backfill asks for each day once, fetches what its rule could want, and goes on wherever it was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.archive import Spool, SpoolInbox
from orchestrator.domain.errors import ArchiveUnavailable, StorageFull
from orchestrator.domain.fetching import BackfillRecord, BackfillState, FetchRecord, FetchState
from orchestrator.domain.hours import Hours
from orchestrator.domain.job import JobState
from orchestrator.domain.records import SeriesState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching.backfill import Backfilling, PastArchive
from orchestrator.pipeline.fetching.fetch import Fetching
from orchestrator.rules import parse_rules
from tests.data.objects import write_instance
from tests.data.records import job_record, key_of, series_record
from tests.parts.archive.scripted_archive import ScriptedArchive

RULES = parse_rules('[[rule]]\nname = "bones"\nmodel = "m"\n\n[rule.when]\nModality = "CT"\n')
FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


class Works:
    """A backfill of two days from a scripted archive, with a clock that is set by hand."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.archive = ScriptedArchive()
        self.now = datetime.now(UTC)
        self.space: Exception | None = None
        self.is_watched = False
        self.restart()

    def restart(self) -> None:
        """Go on as a new process does after a kill -9."""
        self.ledger.fetches.resume()
        self.backfilling = Backfilling(
            self.ledger,
            lambda: RULES,
            lambda _: PastArchive(self.archive, self._fetching(), is_watched=self.is_watched),
            check_space=self._check_space,
            in_flight=2,
            clock=lambda: self.now,
        )

    def holds(self, series_uid: str, day: date, modality: str = "CT") -> None:
        path = write_instance(
            self.folder / f"{series_uid}.dcm", study="1.2", series=series_uid, sop_uid=f"{series_uid}.1"
        )
        self.archive.tell(series_uid, [path], Modality=modality, StudyDate=f"{day:%Y%m%d}")

    def order(self, **more: Any) -> BackfillRecord:
        known = {"rule": "bones", "archive": "pacs", "first": FIRST, "last": SECOND, "created_at": self.now}
        return self.ledger.backfills.add(BackfillRecord(**(known | more)))

    def steps(self, order: BackfillRecord, most: int = 20) -> None:
        """Take steps until nothing can be done now."""
        for _ in range(most):
            if not self.backfilling.step(order):
                return

    def ends(self, order: BackfillRecord, state: JobState = JobState.DONE) -> None:
        """Let the engine end the jobs of all that was fetched."""
        for fetch in self.ledger.fetches.search("pacs", order.number, FetchState.FETCHED):
            uid = fetch.series_uid
            self.ledger.series.put(series_record(series_uid=uid, state=SeriesState.RELEASED), ())
            if self.ledger.jobs.add(job_record(uid, series_uid=uid, rule="bones")):
                for each in (JobState.RUNNING, state):
                    self.ledger.jobs.move(key_of(uid), each)

    def work_off(self, order: BackfillRecord) -> None:
        while self.ledger.backfills.get(order.number).state is BackfillState.RUNNING:
            self.steps(order)
            self.ends(order)

    def counts(self, order: BackfillRecord) -> dict[FetchState, int]:
        return {state: n for state, n in self.ledger.fetches.count("pacs", order.number).items() if n}

    def _fetching(self) -> Fetching:
        return Fetching(self.archive, self.ledger, self._inbox, clock=lambda: self.now)

    def _inbox(self, series_uid: str) -> SpoolInbox:
        spool = Spool(self.folder / "spool")
        return SpoolInbox(spool, source="pacs", series_uid=series_uid, notify=lambda _: None)

    def _check_space(self) -> None:
        if self.space is not None:
            raise self.space


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Works(tmp_path, ledger)


def test_what_the_rule_could_want_is_fetched_and_counted_to_its_end(works: Works) -> None:
    for uid, day, modality in (("1.1", FIRST, "CT"), ("1.2", FIRST, "SR"), ("1.3", SECOND, "CT")):
        works.holds(uid, day, modality)
    order = works.order()
    works.work_off(order)
    progress = works.ledger.backfills.progress(order.number)
    assert (progress.days, progress.found, progress.skipped, progress.matched) == (2, 3, 1, 2)
    assert works.counts(order) == {FetchState.DONE: 2}
    assert works.ledger.backfills.get(order.number).state is BackfillState.DONE


@pytest.mark.parametrize(("newest_first", "fetched"), [(True, ["1.3", "1.1"]), (False, ["1.1", "1.3"])])
def test_the_days_are_worked_off_in_the_order_that_was_asked_for(
    works: Works, newest_first: bool, fetched: list[str]
) -> None:
    works.holds("1.1", FIRST)
    works.holds("1.3", SECOND)
    works.work_off(works.order(newest_first=newest_first))
    assert works.archive.fetched == fetched


def test_a_killed_backfill_goes_on_without_doing_a_day_or_a_series_twice(works: Works) -> None:
    for number in range(6):
        works.holds(f"1.{number}", FIRST if number % 2 else SECOND)
    order = works.order()
    while works.ledger.backfills.get(order.number).state is BackfillState.RUNNING:
        works.restart()
        works.backfilling.step(order)
        works.ends(order)
    assert sorted(works.archive.fetched) == [f"1.{number}" for number in range(6)]
    assert works.ledger.backfills.progress(order.number).found == 6


def test_no_more_is_in_flight_than_the_bound(works: Works) -> None:
    for number in range(5):
        works.holds(f"1.{number}", FIRST)
    order = works.order()
    works.steps(order)
    assert works.counts(order) == {FetchState.FETCHED: 2, FetchState.WAITING: 3}
    works.ends(order)
    works.steps(order)
    assert works.counts(order) == {FetchState.DONE: 2, FetchState.FETCHED: 2, FetchState.WAITING: 1}


def test_no_more_is_begun_in_an_hour_than_was_allowed(works: Works) -> None:
    works.holds("1.1", FIRST)
    works.holds("1.2", FIRST)
    order = works.order(per_hour=60)
    works.steps(order)
    assert len(works.archive.fetched) == 1
    works.now += timedelta(seconds=61)
    works.steps(order)
    assert len(works.archive.fetched) == 2


def test_nothing_is_fetched_outside_the_hours(works: Works) -> None:
    works.holds("1.1", FIRST)
    works.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    order = works.order(hours=Hours.parse("20:00-06:00 UTC"))
    works.steps(order)
    assert works.archive.fetched == []
    works.now += timedelta(hours=9)
    works.steps(order)
    assert works.archive.fetched == ["1.1"]


def test_live_series_of_the_same_archive_go_first(works: Works) -> None:
    works.is_watched = True
    works.holds("1.1", FIRST)
    live = FetchRecord(archive="pacs", series_uid="1.9", study_uid="1.2", due_at=works.now, changed_at=works.now)
    works.ledger.fetches.put([live])
    order = works.order()
    works.steps(order)
    assert works.archive.fetched == []
    works.archive.held["1.9"] = works.archive.held["1.1"]
    works.ledger.fetches.put([FetchRecord(**{**_fields(live), "state": FetchState.FETCHED})])
    works.steps(order)
    assert works.archive.fetched == ["1.1"]


def _fields(record: FetchRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FetchRecord.__dataclass_fields__}


def test_what_the_rule_had_already_is_skipped(works: Works) -> None:
    works.holds("1.1", FIRST)
    works.work_off(works.order())
    again = works.order()
    works.work_off(again)
    assert works.archive.fetched == ["1.1"]
    assert works.ledger.backfills.progress(again.number).skipped == 1


def test_a_series_whose_job_fails_is_counted_as_failed(works: Works) -> None:
    works.holds("1.1", FIRST)
    order = works.order()
    works.steps(order)
    works.ends(order, JobState.FAILED)
    works.steps(order)
    assert works.counts(order) == {FetchState.FAILED: 1}


@pytest.mark.parametrize("fault", [StorageFull("the disk is full"), ArchiveUnavailable("it does not answer")])
def test_a_backfill_that_cannot_get_on_says_why_and_waits(works: Works, fault: Exception) -> None:
    works.holds("1.1", FIRST)
    order = works.order()
    works.backfilling.step(order)
    works.backfilling.step(order)
    if isinstance(fault, StorageFull):
        works.space = fault
    else:
        works.archive.away = fault
    works.backfilling.turn()
    assert works.ledger.backfills.get(order.number).error == str(fault)
    assert works.counts(order) == {FetchState.WAITING: 1}


@pytest.mark.parametrize("state", [BackfillState.PAUSED, BackfillState.CANCELLED])
def test_what_was_fetched_before_a_backfill_was_stopped_is_still_counted(works: Works, state: BackfillState) -> None:
    works.holds("1.1", FIRST)
    order = works.order()
    works.steps(order)
    works.ledger.backfills.move(order.number, state)
    works.ends(order)
    works.backfilling.turn()
    assert works.counts(order) == {FetchState.DONE: 1}


def test_a_rule_that_is_gone_is_named(works: Works) -> None:
    order = works.order(rule="bnes")
    works.backfilling.turn()
    assert "No rule is named 'bnes'" in works.ledger.backfills.get(order.number).error
