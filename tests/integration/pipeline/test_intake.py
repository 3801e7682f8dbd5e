"""Notifications get lost; the spool is the truth, and a series is complete only with all files in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Announced, Arrival
from orchestrator.dicom import read_instance
from orchestrator.domain.images import LeftOut
from orchestrator.ledger import Ledger
from tests.data.faults import change, ct, of_one_uid
from tests.data.objects import write_instance
from tests.data.records import series_record
from tests.parts.intake import Desk, sop_uid_of, spooled


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def test_what_nobody_notified_of_is_in_the_series_before_it_starts_and_leaves(ledger: Ledger, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct")
    desk = Desk(ledger, files)
    for path in files[:4]:
        desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    assert (desk.routes.admitted, desk.routes.released) == ([], [])
    desk.after(11.0)
    assert (set(desk.routes.admitted), len(desk.routes.released)) == ({6}, 1)


def test_a_series_that_cannot_be_routed_waits_and_stops_no_other(ledger: Ledger, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct")
    desk = Desk(ledger, files)
    for path in files:
        desk.intake.take(Arrival(path=path))
    desk.routes.fault = ValueError("Doe^Jane")
    desk.after(11.0)
    desk.routes.fault = None
    desk.after(1.0)
    assert desk.routes.admitted == []
    desk.after(60.0)
    assert len(desk.routes.released) == 1
    told = [event.text for event in ledger.events.after() if event.kind == "series-waits"]
    assert len(told) == 1
    assert told[0].startswith("ValueError at intake.py:")


def test_the_same_images_under_two_paths_are_one_series_that_starts_and_leaves(ledger: Ledger, tmp_path: Path) -> None:
    """Pushed and watched, or sent again with another header: the content is the same, the files are not."""
    watched = ct(tmp_path / "watched")
    shutil.copytree(tmp_path / "watched", tmp_path / "spooled")
    desk = Desk(ledger, sorted((tmp_path / "spooled").iterdir()))
    for path in watched:
        desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    desk.after(11.0)
    assert (set(desk.routes.admitted), len(desk.routes.released)) == ({6}, 1)


def test_the_quiet_period_is_that_of_the_way_by_which_the_last_image_came(ledger: Ledger, tmp_path: Path) -> None:
    first, *rest = ct(tmp_path / "ct")
    desk = Desk(ledger, [first, *rest])
    desk.intake.take(Arrival(path=first))
    for path in rest:
        desk.intake.take(Arrival(path=path, called="SLOW"))
    desk.after(11.0)
    assert desk.routes.released == []
    desk.after(30.0)
    assert len(desk.routes.released) == 1


def reports(folder: Path, *sop_uids: str) -> list[Path]:
    """Return SR of one series."""
    made = {"study": "1.2", "series": "1.2.1", "sop_class": "1.2.840.10008.5.1.4.1.1.88.33"}
    return [write_instance(folder / f"{uid}.dcm", sop_uid=uid, **made) for uid in sop_uids]


def test_each_report_is_taken_up_with_the_way_by_which_itself_came(ledger: Ledger, tmp_path: Path) -> None:
    """Not with that of the last one of its series: that one may come from somebody whom the settings trust."""
    files = reports(tmp_path, "1.2.1.1", "1.2.1.2")
    desk = Desk(ledger, files)
    for path, source in zip(files, ("receiver", "pacs"), strict=True):
        desk.intake.take(Arrival(path=path, source=source))
    desk.after(11.0)
    assert sorted(desk.documents.processed) == [("1.2.1.1", "receiver"), ("1.2.1.2", "pacs")]


def test_a_verdict_that_cannot_be_taken_now_keeps_its_series_from_being_settled(ledger: Ledger, tmp_path: Path) -> None:
    """So a kill in between loses nothing: what is not settled is taken up again."""
    files = reports(tmp_path, "1.2.1.1")
    desk = Desk(ledger, files)
    desk.intake.take(Arrival(path=files[0], source="pacs"))
    desk.documents.away = True
    desk.after(11.0)
    assert (desk.documents.processed, desk.routes.released) == ([], [])
    desk.documents.away = False
    desk.after(61.0)
    assert (desk.documents.processed, desk.routes.released) == ([("1.2.1.1", "pacs")], ["1.2.1"])


def test_a_series_is_settled_when_what_it_says_was_taken_up_and_others_do_not_wait(
    ledger: Ledger, tmp_path: Path
) -> None:
    (report,), files = reports(tmp_path, "1.2.1.1"), ct(tmp_path / "ct")
    desk = Desk(ledger, [])
    desk.documents.busy = True
    for path in (report, *files):
        desk.intake.take(Arrival(path=path, source="pacs"))
    desk.after(11.0)
    assert len(desk.routes.released) == 1
    assert "1.2.1" not in desk.routes.released
    desk.documents.busy = False
    desk.after(0.1)
    assert desk.routes.released[1:] == ["1.2.1"]


def test_images_are_nobody_s_verdict(ledger: Ledger, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct")
    desk = Desk(ledger, files)
    for path in files:
        desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    assert (len(desk.routes.released), desk.documents.processed) == (1, [])


def test_a_file_of_the_spool_that_cannot_be_read_is_recorded_and_stops_no_other(ledger: Ledger, tmp_path: Path) -> None:
    broken, *rest = ct(tmp_path / "ct")
    desk = Desk(ledger, [broken, *rest])
    desk.files.broken = {broken}
    uid, series_uid = sop_uid_of(broken), str(dcmread(broken, stop_before_pixels=True).SeriesInstanceUID)
    desk.intake.recover(replace(spooled(path, series_uid), sop_uid=sop_uid_of(path)) for path in (broken, *rest))
    desk.after(11.0)
    desk.after(11.0)
    assert (set(desk.routes.admitted), len(desk.routes.released)) == ({6}, 1)
    assert desk.routes.newest[uid] is LeftOut.UNREADABLE
    assert [event.kind for event in ledger.events.after()].count("file-unreadable") == 1


def test_a_count_of_a_series_that_is_not_pending_is_passed_over(ledger: Ledger, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct")
    desk = Desk(ledger, files)
    desk.intake.take(Announced(series_uid="9.9.9", count=6, reason="of a series that nobody sent"))
    for path in files:
        desk.intake.take(Arrival(path=path))
    desk.after(1.0)
    assert desk.routes.released == []


def test_a_report_that_a_c_move_brought_counts_as_the_archive_s(ledger: Ledger, tmp_path: Path) -> None:
    """Else a verdict from an archive that the settings trust would be ignored where a notification is lost."""
    (report,) = reports(tmp_path, "1.2.1.1")
    desk = Desk(ledger, [report])
    desk.intake.take(Arrival(path=report, calling="PACS"))
    desk.files.moved = {report: "pacs"}
    desk.after(11.0)
    assert desk.documents.processed == [("1.2.1.1", "pacs")]


def test_a_report_that_came_in_two_ways_is_processed_for_each(ledger: Ledger, tmp_path: Path) -> None:
    """Else a sender without trust could take away the verdict of an archive that the settings trust."""
    (report,) = reports(tmp_path, "1.2.1.1")
    desk = Desk(ledger, [report])
    desk.intake.take(Arrival(path=report, source="pacs"))
    desk.intake.take(Arrival(path=report, calling="ANYBODY", duplicate=True))
    desk.after(11.0)
    assert desk.documents.processed == [("1.2.1.1", "pacs"), ("1.2.1.1", "receiver")]


def test_different_images_under_one_uid_are_left_out_of_their_series(ledger: Ledger, tmp_path: Path) -> None:
    paths = of_one_uid(tmp_path / "ct")
    desk = Desk(ledger, paths[-1:])
    for path in paths:
        desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    assert desk.routes.newest == {"1.2.3": LeftOut.SHARED_UID}


def test_different_images_under_one_uid_are_found_where_every_notification_was_lost(
    ledger: Ledger, tmp_path: Path
) -> None:
    *older, newest = of_one_uid(tmp_path / "ct")
    desk = Desk(ledger, [newest])
    desk.files.older = tuple(older)
    series_uid = str(dcmread(newest, stop_before_pixels=True).SeriesInstanceUID)
    desk.intake.recover(desk.files.series_files("", series_uid))
    desk.after(11.0)
    assert desk.routes.newest == {"1.2.3": LeftOut.SHARED_UID}


def test_one_of_the_images_of_a_shared_uid_does_not_count_after_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    *_, path = of_one_uid(tmp_path / "ct")
    shared = replace(read_instance(path), left_out=LeftOut.SHARED_UID, digest="5a" * 32)
    record = series_record(series_uid=shared.series_uid, study_uid=shared.study_uid, instance_count=1)
    ledger.series.put(record, [shared])
    desk = Desk(ledger, [path])
    desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    assert desk.routes.newest == {"1.2.3": LeftOut.SHARED_UID}


def test_images_that_come_again_with_other_content_count_and_are_named(ledger: Ledger, tmp_path: Path) -> None:
    paths, corrected = ct(tmp_path / "ct"), ct(tmp_path / "again", seed="ct")
    change(corrected, lambda dataset: dataset.update({"PatientName": "Corrected^Name"}))
    desk = Desk(ledger, corrected)
    for path in (*paths, *corrected):
        desk.intake.take(Arrival(path=path))
    desk.after(11.0)
    assert list(desk.routes.newest.values()) == [None] * 6
    (event,) = ledger.events.newest(kind="images-replaced")
    assert event.text.startswith("revision 1: 6 images came again with other content")


def test_a_received_image_that_cannot_be_read_is_left_out_of_its_series(ledger: Ledger, tmp_path: Path) -> None:
    *readable, broken = ct(tmp_path / "ct")
    uid, series_uid = sop_uid_of(broken), str(dcmread(broken, stop_before_pixels=True).SeriesInstanceUID)
    broken.write_bytes(broken.read_bytes()[:200])
    desk = Desk(ledger, [*readable, broken])
    for path in readable:
        desk.intake.take(Arrival(path=path))
    desk.intake.take(Arrival(path=broken, study_uid="1.2", series_uid=series_uid, sop_uid=uid, sop_class="1.2.3"))
    desk.after(11.0)
    assert desk.routes.newest[uid] is LeftOut.UNREADABLE
    assert len(desk.routes.newest) == 6
    assert len(ledger.events.newest(kind="file-unreadable")) == 1
