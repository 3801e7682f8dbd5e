"""Fetched series: half a fetch is no series; a backfill's series goes to its rule only, behind live work."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Arrival, Closed, Spool, SpoolInbox
from orchestrator.archive.protocol.part10 import describe_file
from orchestrator.archive.spool.spool import Origin
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.intake import Intake
from tests.data.faults import ct
from tests.data.records import series_record

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Routes:
    """Stands where Routing does, and keeps for which rule the series was admitted."""

    def __init__(self) -> None:
        self.rules: list[str] = []

    def admit(self, instances: Collection[Instance], *, only_rule: str, **_: object) -> SeriesRecord:
        self.rules.append(only_rule)
        return series_record(series_uid=next(iter(instances)).series_uid)

    def release(self, series_uid: str, revision: int, reason: str) -> None:
        pass


class Desk:
    """An intake that took one series from the archive ``pacs``, with a clock that is set by hand."""

    def __init__(self, ledger: Ledger, files: list[Path], spool: Spool) -> None:
        self.now = 100.0
        self.routes = Routes()
        self.ledger = ledger
        self.intake = Intake(
            ledger,
            self.routes,  # type: ignore[arg-type]
            spool,
            quiet_seconds=lambda _: 10.0,
            clock=lambda: self.now,
        )
        for path in files:
            self.intake.take(Arrival(path=path, source="pacs", association="fetch"))
        (self.series_uid,) = self.intake._pending

    def put(self, state: FetchState, *, archive: str = "pacs", rule: str = "") -> None:
        fetch = FetchRecord(
            archive=archive,
            series_uid=self.series_uid,
            study_uid="1.2",
            rule=rule,
            state=state,
            due_at=NOW,
            changed_at=NOW,
            begun_at=NOW,
        )
        self.ledger.fetches.put([fetch])

    def admitted_after(self, seconds: float) -> list[str]:
        self.now += seconds
        self.intake.advance()
        return self.routes.rules


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Desk(ledger, ct(tmp_path / "ct"), Spool(tmp_path / "spool"))


@pytest.mark.parametrize("state", [FetchState.WAITING, FetchState.FETCHING])
def test_a_series_of_which_the_archive_holds_more_is_not_complete_however_quiet_it_is(
    desk: Desk, state: FetchState
) -> None:
    desk.put(state)
    assert desk.admitted_after(3600) == []
    desk.put(FetchState.FETCHED)
    assert desk.admitted_after(0) == [""]


def test_a_fetch_under_way_is_waited_for_however_the_images_came(desk: Desk) -> None:
    desk.put(FetchState.FETCHING, archive="vna")
    assert desk.admitted_after(3600) == []


def test_what_another_archive_is_to_be_asked_for_does_not_matter(desk: Desk) -> None:
    desk.put(FetchState.WAITING, archive="vna")
    assert desk.admitted_after(3600) == [""]


def test_the_rule_that_a_backfill_fetched_it_for_is_the_only_one(desk: Desk) -> None:
    desk.put(FetchState.FETCHED, rule="bones")
    assert desk.admitted_after(3600) == ["bones"]


def test_the_end_of_one_fetch_says_nothing_of_another(desk: Desk) -> None:
    desk.intake.take(Closed(association="another fetch", released=True, calling="", called=""))
    assert desk.admitted_after(0) == []
    desk.intake.take(Closed(association="fetch", released=True, calling="", called=""))
    assert desk.admitted_after(0) == [""]


class Moved:
    """A series that a C-MOVE of a backfill brought: it came to the receiver, and no further notification arrives."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.now = 100.0
        self.ledger = ledger
        self.spool = Spool(folder / "spool")
        self.routes = Routes()
        self.intake = self.restarted()
        for path in ct(folder / "ct"):
            self.arrival = self.push(path)
        self.put(FetchState.FETCHING)
        inbox = SpoolInbox(self.spool, source="pacs", series_uid=self.arrival.series_uid, notify=lambda _: None)
        inbox.adopt(self.arrival.study_uid)
        self.put(FetchState.FETCHED)

    def restarted(self) -> Intake:
        return Intake(
            self.ledger,
            self.routes,  # type: ignore[arg-type]
            self.spool,
            quiet_seconds=lambda _: 10.0,
            clock=lambda: self.now,
        )

    def push(self, path: Path, calling: str = "PACS") -> Arrival:
        """Receive a file as the receiver does."""
        with path.open("rb") as file:
            described = describe_file([file.read()])
        origin = Origin(described.sop_class, described.sop_uid, described.transfer_syntax, calling, "ORCHESTRATOR", "a")
        incoming = self.spool.receive(origin)
        for piece in described.dataset:
            incoming.write(memoryview(piece))
        arrival = incoming.file()
        self.intake.take(arrival)
        return arrival

    def put(self, state: FetchState) -> None:
        fetch = FetchRecord(
            archive="pacs",
            series_uid=self.arrival.series_uid,
            run=1,
            study_uid=self.arrival.study_uid,
            rule="bones",
            state=state,
            due_at=NOW,
            changed_at=NOW,
            begun_at=NOW,
        )
        self.ledger.fetches.put([fetch])

    def admitted(self) -> list[str]:
        self.now += 3600
        self.intake.advance()
        return self.routes.rules


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Moved]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Moved(tmp_path, ledger)


def test_a_c_move_stays_the_backfill_s_when_its_notifications_are_lost(moved: Moved) -> None:
    assert moved.admitted() == ["bones"]


def test_a_c_move_stays_the_backfill_s_after_a_restart(moved: Moved) -> None:
    moved.intake = moved.restarted()
    moved.intake.recover(moved.spool.scan())
    assert moved.admitted() == ["bones"]


def test_an_image_that_is_pushed_after_a_c_move_is_live_work(moved: Moved, tmp_path: Path) -> None:
    late = dcmread(moved.arrival.path)
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = f"{late.SOPInstanceUID}.1"
    late.save_as(tmp_path / "late.dcm")
    moved.push(tmp_path / "late.dcm", "CT1")
    assert moved.admitted() == [""]


def test_the_same_images_pushed_again_after_a_c_move_are_live_work(moved: Moved, tmp_path: Path) -> None:
    assert moved.admitted() == ["bones"]
    moved.push(moved.arrival.path, "CT1")
    moved.admitted()  # finds the other images in the spool
    assert moved.admitted() == ["bones", ""]
