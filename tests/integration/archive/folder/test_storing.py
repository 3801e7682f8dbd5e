import stat
from pathlib import Path

import pytest

from orchestrator.archive import connect
from orchestrator.archive.folder import FolderArchive, _header
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import write_instance

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def archive(tmp_path: Path) -> FolderArchive:
    (tmp_path / "archive").mkdir()
    connected = connect((tmp_path / "archive").as_uri(), name="files")
    assert isinstance(connected, FolderArchive)
    return connected


def reference(study: str, series: str, sop_uid: str) -> ObjectReference:
    return ObjectReference(study, series, sop_uid, CT)


def test_a_stored_file_lies_under_its_uids_byte_for_byte(archive: FolderArchive, tmp_path: Path) -> None:
    sent = write_instance(tmp_path / "x.dcm", study="1.2", series="1.3", sop_uid="1.4")
    archive.store([sent])
    assert (tmp_path / "archive/1.2/1.3/1.4.dcm").read_bytes() == sent.read_bytes()


def test_storing_twice_changes_nothing(archive: FolderArchive, tmp_path: Path) -> None:
    sent = write_instance(tmp_path / "x.dcm", study="1.2", series="1.3", sop_uid="1.4")
    archive.store([sent])
    before = (tmp_path / "archive/1.2/1.3/1.4.dcm").stat()
    archive.store([sent])
    assert (tmp_path / "archive/1.2/1.3/1.4.dcm").stat() == before


def test_other_bytes_under_the_same_uid_are_refused(archive: FolderArchive, tmp_path: Path) -> None:
    uids = {"study": "1.2", "series": "1.3", "sop_uid": "1.4"}
    archive.store([write_instance(tmp_path / "x.dcm", **uids)])
    with pytest.raises(ArchiveRefused, match=r"other content under 1\.4"):
        archive.store([write_instance(tmp_path / "y.dcm", accession="A2", **uids)])


def test_what_is_not_held_is_missing(archive: FolderArchive, tmp_path: Path) -> None:
    archive.store([write_instance(tmp_path / "x.dcm", study="1.2", series="1.3", sop_uid="1.4")])
    asked = [reference("1.2", "1.3", "1.4"), reference("1.2", "1.3", "1.5"), reference("1.2", "1.9", "1.6")]
    assert archive.missing(asked) == {"1.5", "1.6"}


def test_an_instance_in_another_study_is_missing_from_this_one(archive: FolderArchive, tmp_path: Path) -> None:
    archive.store([write_instance(tmp_path / "x.dcm", study="1.2", series="1.3", sop_uid="1.4")])
    assert archive.missing([reference("1.9", "1.3", "1.4")]) == {"1.4"}


def test_the_identity_is_that_of_the_study(archive: FolderArchive, tmp_path: Path) -> None:
    write_instance(tmp_path / "archive/a.dcm", study="1.2", patient_name="山田^太郎", character_set="ISO_IR 192")
    write_instance(tmp_path / "archive/b.dcm", study="1.3", patient_id="P2")
    identity = archive.identity("1.2")
    assert identity is not None
    assert (identity.patient_name, identity.patient_id, identity.accession_number) == ("山田^太郎", "P1", "A1")
    assert archive.identity("1.9") is None


def test_a_study_of_two_patients_is_refused(archive: FolderArchive, tmp_path: Path) -> None:
    write_instance(tmp_path / "archive/a.dcm", study="1.2", patient_id="P1")
    write_instance(tmp_path / "archive/b.dcm", study="1.2", patient_id="P2")
    with pytest.raises(ArchiveRefused, match=r"study 1\.2 under 2 patients"):
        archive.identity("1.2")


def test_a_correction_in_the_folder_is_seen_and_nothing_else_is_read_again(
    archive: FolderArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_instance(tmp_path / "archive/a.dcm", study="1.2")
    changed = write_instance(tmp_path / "archive/b.dcm", study="1.2")
    archive.identity("1.2")
    parsed: list[Path] = []
    monkeypatch.setattr("orchestrator.archive.folder._header", lambda path: parsed.append(path) or _header(path))
    write_instance(changed, study="1.2", accession="CORRECTED")
    identity = archive.identity("1.2")
    assert identity is not None
    assert identity.accession_number == "CORRECTED"
    assert parsed == [changed]


def test_a_deleted_file_is_missing(archive: FolderArchive, tmp_path: Path) -> None:
    file = write_instance(tmp_path / "archive/a.dcm", study="1.2", series="1.3", sop_uid="1.4")
    assert archive.missing([reference("1.2", "1.3", "1.4")]) == frozenset()
    file.unlink()
    assert archive.missing([reference("1.2", "1.3", "1.4")]) == {"1.4"}


def test_files_are_found_in_all_folders_but_hidden_ones_and_links_end(archive: FolderArchive, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    for name in ("b/2.dcm", "a/1.dcm", "notes.txt", ".orchestrator/ledger.db", "a/.hidden"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "a" / "loop").symlink_to(root)
    (root / "dangling").symlink_to(root / "nothing")
    assert [str(path.relative_to(root)) for path in archive.files()] == ["a/1.dcm", "b/2.dcm", "notes.txt"]


def test_what_is_no_dicom_is_passed_over_and_cannot_be_stored(archive: FolderArchive, tmp_path: Path) -> None:
    (tmp_path / "archive/notes.txt").write_text("hello")
    assert archive.identity("1.2") is None
    with pytest.raises(UnreadableFile):
        archive.store([tmp_path / "archive/notes.txt"])


def test_an_unmounted_folder_is_unavailable_and_not_made(tmp_path: Path) -> None:
    archive = connect((tmp_path / "nas").as_uri(), name="nas")
    for call in (archive.echo, lambda: archive.identity("1.2"), lambda: archive.store([])):
        with pytest.raises(ArchiveUnavailable, match="does not exist"):
            call()
    assert not (tmp_path / "nas").exists()


def test_an_echo_takes_no_time_to_speak_of(archive: FolderArchive) -> None:
    assert 0 <= archive.echo() < 1


@pytest.mark.parametrize(("mode", "of_file"), [(0o700, 0o600), (0o755, 0o644), (0o2770, 0o660)], ids=oct)
def test_a_stored_file_is_as_readable_as_the_folder(
    archive: FolderArchive, tmp_path: Path, mode: int, of_file: int
) -> None:
    archive.folder.chmod(mode)
    archive.store([write_instance(tmp_path / "x.dcm", study="1.2", series="1.3", sop_uid="1.4")])
    modes = [stat.S_IMODE((archive.folder / part).stat().st_mode) for part in ("1.2", "1.2/1.3", "1.2/1.3/1.4.dcm")]
    assert modes == [mode, mode, of_file]
