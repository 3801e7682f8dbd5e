"""A folder is asked and read like any other archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.archive import FolderArchive, Notification, Spool, SpoolInbox
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import FoundSeries
from tests.data.objects import write_instance


@pytest.fixture
def archive(tmp_path: Path) -> FolderArchive:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(3):
        write_instance(folder / f"ct-{number}.dcm", study="1.2", series="1.2.1", sop_uid=f"1.2.1.{number}")
    write_instance(folder / "b/other.dcm", study="1.3", series="1.3.1", sop_uid="1.3.1.1")
    (folder / "notes.txt").write_text("no DICOM")
    return FolderArchive("files", folder)


def inbox(tmp_path: Path, told: list[Notification], series_uid: str = "1.2.1") -> SpoolInbox:
    return SpoolInbox(Spool(tmp_path / "spool"), source="files", series_uid=series_uid, notify=told.append)


def test_each_series_is_found_with_its_count_and_what_its_header_says(archive: FolderArchive) -> None:
    found = {series.series_uid: series for series in archive.find({})}
    assert {uid: series.count for uid, series in found.items()} == {"1.2.1": 3, "1.3.1": 1}
    assert found["1.2.1"].headers["Modality"] == ("CT",)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"StudyInstanceUID": "1.3"}, {"1.3.1"}),
        ({"Modality": "CT"}, {"1.2.1", "1.3.1"}),
        ({"Modality": "MR"}, set()),
        ({"StudyDate": "19000101-19000102"}, set()),
    ],
)
def test_a_query_finds_what_it_asks_for(archive: FolderArchive, query: dict[str, str], found: set[str]) -> None:
    assert {series.series_uid for series in archive.find(query)} == found


def test_a_word_that_dicom_does_not_know_is_refused(archive: FolderArchive) -> None:
    with pytest.raises(ArchiveRefused, match="Modalty"):
        list(archive.find({"Modalty": "CT"}))


def test_a_fetched_series_lies_whole_in_the_spool(archive: FolderArchive, tmp_path: Path) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    assert archive.fetch(FoundSeries("1.2", "1.2.1"), box) == 3
    held = Spool(tmp_path / "spool").series_files("1.2", "1.2.1")
    assert {file.sop_uid for file in held} == {"1.2.1.0", "1.2.1.1", "1.2.1.2"}


def test_what_was_removed_after_it_was_found_is_refused_by_name(archive: FolderArchive, tmp_path: Path) -> None:
    (found,) = archive.find({"StudyInstanceUID": "1.3"})
    (tmp_path / "archive/b/other.dcm").unlink()
    with pytest.raises(ArchiveRefused, match=r"no longer holds series 1\.3\.1"):
        archive.fetch(found, inbox(tmp_path, [], "1.3.1"))


def test_a_folder_that_is_away_is_asked_again_later(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnavailable):
        list(FolderArchive("files", tmp_path / "unmounted").find({}))
