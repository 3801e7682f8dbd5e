"""Orthanc's changes: each is found once, whatever is deleted or started again."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.domain.ports import Change
from tests.data.faults import change
from tests.data.series import ct_series
from tests.integration.archive.orthanc.conftest import by_api, by_dicomweb, saved, series_of
from tests.parts.archive.orthanc import Orthanc, orthanc


def looks(archive: OrthancArchive, cursor: str) -> tuple[dict[str, Change], str]:
    """Return the changes by series, of as many looks as there are to take at once, and the next cursor."""
    found: dict[str, Change] = {}
    more = True
    while more:
        look = archive.changes(cursor)
        found.update({change.series.series_uid: change for change in look.changes})
        cursor, more = look.cursor, look.more
    return found, cursor


def stable(peer: Orthanc) -> None:
    """Wait until Orthanc says of all that it holds that no instance came for its StableAge."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = peer.ask("GET", "/changes?limit=10000").json()["Changes"]
        kinds = {
            kind: {each["ID"] for each in told if each["ChangeType"] == kind} for kind in ("NewSeries", "StableSeries")
        }
        if kinds["NewSeries"] <= kinds["StableSeries"]:
            return
        time.sleep(0.1)
    raise AssertionError("Orthanc never said that its series are stable")


def test_watching_begins_now(own: OrthancArchive, peer: Orthanc, tmp_path: Path) -> None:
    paths = saved(tmp_path)
    peer.put(paths)
    begun = own.changes("")
    assert begun.changes == ()
    assert looks(own, begun.cursor)[0] == {}


def test_a_series_is_told_when_it_comes_and_its_silence_proves_nothing(
    own: OrthancArchive, peer: Orthanc, tmp_path: Path
) -> None:
    cursor = own.changes("").cursor
    paths = saved(tmp_path, 3)
    peer.put(paths)
    uid = series_of(paths[0]).series_uid
    found, cursor = looks(own, cursor)
    assert (found[uid].series.study_uid, found[uid].series.count) == (series_of(paths[0]).study_uid, 3)
    stable(peer)
    assert not found[uid].complete
    assert uid not in looks(own, cursor)[0]


def test_a_series_that_grows_is_told_by_counts_too(peer: Orthanc, tmp_path: Path) -> None:
    archive = by_dicomweb(peer)
    cursor = archive.changes("").cursor
    paths = saved(tmp_path, 3)
    change(paths, lambda dataset: setattr(dataset, "StudyDate", f"{date.today():%Y%m%d}"))
    uid = series_of(paths[0]).series_uid
    counts = []
    for end in (1, 3, 3):
        peer.put(paths[:end])
        look = archive.changes(cursor)
        counts += [each.series.count for each in look.changes if each.series.series_uid == uid]
        cursor = look.cursor
    assert counts == [1, 3]


def test_a_series_with_as_many_images_as_announced_is_complete_at_once(
    own: OrthancArchive, peer: Orthanc, tmp_path: Path
) -> None:
    cursor = own.changes("").cursor
    paths = ct_series(tmp_path, slices=2, seed="announced")
    change(paths, lambda dataset: dataset.update({"ImagesInAcquisition": 2, "NumberOfTemporalPositions": 1}))
    peer.put(paths)
    found, _ = looks(own, cursor)
    assert "CompletedSeries" in found[series_of(paths[0]).series_uid].complete


def test_a_series_that_was_deleted_since_is_not_told(own: OrthancArchive, peer: Orthanc, tmp_path: Path) -> None:
    cursor = own.changes("").cursor
    paths = saved(tmp_path)
    peer.put(paths)
    for held in peer.ask("POST", "/tools/lookup", content=series_of(paths[0]).series_uid).json():
        peer.ask("DELETE", held["Path"])
    assert series_of(paths[0]).series_uid not in looks(own, cursor)[0]


def test_many_changes_are_told_in_several_looks(
    own: OrthancArchive, peer: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.archive.orthanc._CHANGES_AT_ONCE", 2)
    cursor = own.changes("").cursor
    paths = [*saved(tmp_path / "a", 3), *saved(tmp_path / "b")]
    peer.put(paths)
    assert own.changes(cursor).more
    assert {series_of(path).series_uid for path in paths} <= looks(own, cursor)[0].keys()


def test_nothing_is_missed_or_repeated_when_it_is_started_again(tmp_path: Path) -> None:
    before, after = saved(tmp_path / "before"), saved(tmp_path / "after")
    with orthanc(tmp_path / "orthanc") as peer:
        archive = by_api(peer)
        cursor = archive.changes("").cursor
        peer.put(before)
        stable(peer)
        _, cursor = looks(archive, cursor)
        peer.stop()
        with pytest.raises(ArchiveUnavailable):
            archive.changes(cursor)
        peer.start()
        assert looks(archive, cursor)[0] == {}
        peer.put(after)
        assert looks(archive, cursor)[0].keys() == {series_of(after[0]).series_uid}


@pytest.mark.parametrize("grown", [False, True], ids=["with fewer changes", "with more changes"])
def test_an_orthanc_that_was_set_up_anew_is_noticed_and_nothing_of_it_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, grown: bool
) -> None:
    old, new = saved(tmp_path / "old", 2), saved(tmp_path / "new", 9 if grown else 1)
    with orthanc(tmp_path / "orthanc") as peer:
        archive = by_api(peer)
        cursor = archive.changes("").cursor
        peer.put(old)
        _, cursor = looks(archive, cursor)
        peer.stop()
        peer.folder = tmp_path / "anew"
        peer.start()
        assert grown or archive.changes(cursor).changes == ()
        peer.put(new)
        found, cursor = looks(archive, cursor)
        assert found.keys() == {series_of(new[0]).series_uid}
        assert looks(archive, cursor)[0].keys() <= found.keys()
    assert "restarted its list of changes" in caplog.text
