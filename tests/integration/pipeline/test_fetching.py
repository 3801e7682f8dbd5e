"""Fetched series: half a fetch is no series; a backfill's series goes to its rule only, behind live work."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Arrival, Closed, Notification, Spool, SpoolInbox
from orchestrator.archive.protocol.part10 import describe_file
from orchestrator.archive.spool.spool import Origin
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.intake import Intake
from orchestrator.pipeline.fetching.fetch import Fetching, resume_fetches
from tests.data.faults import ct
from tests.data.records import series_record
from tests.parts.archive.scripted_archive import ScriptedArchive

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


class Reception:
    """An intake over a real spool, with a clock that is set by hand."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.now = 100.0
        self.ledger = ledger
        self.spool = Spool(folder / "spool")
        self.routes = Routes()
        self.intake = self.restarted()
        self.paths = ct(folder / "ct")

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

    def admitted(self) -> list[str]:
        self.now += 3600
        self.intake.advance()
        return self.routes.rules


class Moved(Reception):
    """A series that a C-MOVE of a backfill brought: it came to the receiver, and no further notification arrives."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        super().__init__(folder, ledger)
        for path in self.paths:
            self.arrival = self.push(path)
        self.put(FetchState.FETCHING)
        inbox = SpoolInbox(self.spool, source="pacs", series_uid=self.arrival.series_uid, notify=lambda _: None)
        inbox.adopt(self.arrival.study_uid)
        self.put(FetchState.FETCHED)

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


class Broken(Reception):
    """A backfill whose C-MOVE breaks off after the first image. notes: whether the engine hears of the fetch."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        super().__init__(folder, ledger)
        self.header = dcmread(self.paths[0], stop_before_pixels=True)
        self.uid = str(self.header.SeriesInstanceUID)
        self.archive = ScriptedArchive(held={self.uid: self.paths}, moves=True, receive=self.push)
        self.notes = True

    def inbox(self, series_uid: str, archive: str = "pacs") -> SpoolInbox:
        def notify(notification: Notification) -> None:
            if self.notes:
                self.intake.take(notification)

        return SpoolInbox(self.spool, source=archive, series_uid=series_uid, notify=notify)

    def order(self) -> FetchRecord:
        if known := self.ledger.fetches.find("pacs", [self.uid], 1):
            return known[self.uid]
        return FetchRecord(
            archive="pacs",
            series_uid=self.uid,
            run=1,
            study_uid=str(self.header.StudyInstanceUID),
            rule="bones",
            due_at=NOW,
            changed_at=NOW,
        )

    def fetch(self, fault: BaseException | None = None) -> None:
        """Fetch once; with a fault the C-MOVE breaks off by it."""
        self.archive.broken = {self.uid: fault} if fault else {}  # type: ignore[dict-item]  # also what ends a process
        with suppress(*([type(fault)] if fault else [])):
            Fetching(self.archive, self.ledger, self.inbox).fetch(self.order())


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Broken]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Broken(tmp_path, ledger)


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("fault", [ArchiveUnavailable("lost"), ArchiveRefused("C001H"), OSError("disk")])
def test_what_a_broken_c_move_brought_waits_for_the_next_one(broken: Broken, fault: Exception, notes: bool) -> None:
    broken.notes = notes
    broken.fetch(fault)
    assert broken.order().state is FetchState.WAITING
    assert broken.admitted() == []
    broken.fetch()
    assert broken.admitted() == ["bones"]


@pytest.mark.parametrize("notes", [True, False])
def test_a_second_c_move_that_breaks_off_sends_known_images_only(broken: Broken, notes: bool) -> None:
    broken.notes = notes
    broken.fetch(ArchiveUnavailable("lost"))
    broken.fetch(ArchiveUnavailable("lost again"))
    assert broken.admitted() == []


def test_a_known_image_that_a_second_c_move_sends_last_is_the_backfill_s(broken: Broken) -> None:
    broken.notes = False
    broken.fetch(ArchiveUnavailable("lost"))
    broken.paths.reverse()
    broken.fetch()
    assert broken.admitted() == ["bones"]


def test_what_the_archive_sends_after_its_c_move_broke_off_waits_too(broken: Broken) -> None:
    broken.fetch(ArchiveUnavailable("lost"))
    broken.push(broken.paths[1])
    assert broken.admitted() == []
    broken.fetch()
    assert broken.admitted() == ["bones"]


def test_another_sender_s_images_do_not_wait_for_a_broken_c_move(broken: Broken) -> None:
    broken.fetch(ArchiveUnavailable("lost"))
    for path in broken.paths:
        broken.push(path, "CT1")
    broken.admitted()
    assert broken.admitted() == [""]


def test_what_was_pushed_before_a_broken_c_move_stays_pushed(broken: Broken) -> None:
    broken.push(broken.paths[1], "CT1")
    filed = broken.spool.series_files(broken.order().study_uid, broken.uid)[0].path
    os.utime(filed, (NOW.timestamp(), NOW.timestamp()))
    broken.fetch(ArchiveUnavailable("lost"))
    assert broken.spool.recorded_source(filed) == ""


def test_a_c_move_of_a_killed_process_is_repeated(broken: Broken) -> None:
    broken.fetch(KeyboardInterrupt())
    assert broken.order().state is FetchState.FETCHING
    broken.intake = broken.restarted()
    broken.intake.recover(broken.spool.scan())
    resume_fetches(broken.ledger, lambda archive, uid: broken.inbox(uid, archive), {"pacs"})
    assert broken.order().state is FetchState.WAITING
    assert broken.admitted() == []
    broken.fetch()
    assert broken.admitted() == ["bones"]
