"""Debian's Orthanc, asked by its own API and by its DICOMweb plugin."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from orchestrator.archive import Arrival, Notification, Spool, SpoolInbox, connect
from orchestrator.archive.dicomweb.archive import DicomwebArchive
from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import Change, FoundSeries, ObjectReference
from tests.data.faults import change
from tests.data.objects import instance
from tests.data.series import ct_series, write
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.archive.web_server import Answer, Request, web_server

Both = OrthancArchive | DicomwebArchive


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an Orthanc as Debian configures it; it loses letters of other scripts in QIDO answers."""
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def own(peer: Orthanc) -> OrthancArchive:
    return by_api(peer)


@pytest.fixture(params=["orthanc", "dicomweb"])
def archive(peer: Orthanc, request: pytest.FixtureRequest) -> Both:
    return by_api(peer) if request.param == "orthanc" else by_dicomweb(peer)


def by_api(peer: Orthanc, **told: str) -> OrthancArchive:
    archive = connect(peer.url, name="vna", **told)  # type: ignore[arg-type]
    assert isinstance(archive, OrthancArchive)
    return archive


def by_dicomweb(peer: Orthanc, **told: str) -> DicomwebArchive:
    archive = connect(peer.dicomweb_url, name="vna", **told)  # type: ignore[arg-type]
    assert isinstance(archive, DicomwebArchive)
    return archive


def saved(folder: Path, count: int = 1, **parameters: str) -> list[Path]:
    """Write instances of one series of a study of its own and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    first = instance(**parameters)  # type: ignore[arg-type]
    uids = {"study": first.StudyInstanceUID, "series": first.SeriesInstanceUID}
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for path in paths:
        instance(**{**parameters, **uids}).save_as(path, enforce_file_format=True)  # type: ignore[arg-type]
    return paths


def series_of(path: Path) -> FoundSeries:
    header = dcmread(path, stop_before_pixels=True)
    return FoundSeries(header.StudyInstanceUID, header.SeriesInstanceUID)


def references(paths: list[Path]) -> list[ObjectReference]:
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    return [
        ObjectReference(each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID, each.SOPClassUID)
        for each in headers
    ]


def fetched(archive: Both, series: FoundSeries, folder: Path) -> list[Path]:
    """Fetch a series and return what lies in the spool."""
    told: list[Notification] = []
    inbox = SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=series.series_uid, notify=told.append)
    assert archive.fetch(series, inbox) == len(told)
    return [note.path for note in told if isinstance(note, Arrival)]


def content(paths: list[Path]) -> set[tuple[str, str, bytes]]:
    """Return what each file holds: its UID, its transfer syntax and its pixels as they are encoded."""
    datasets = [dcmread(path) for path in paths]
    return {(each.SOPInstanceUID, each.file_meta.TransferSyntaxUID, each.PixelData) for each in datasets}


# --- asked, read and stored to: the same by both ways -------------------------------------------------------


def test_it_is_there(archive: Both) -> None:
    assert 0 < archive.echo() < 10


def test_what_is_stored_is_found_and_comes_back_as_it_was(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path / "ct", slices=5, seed=f"{type(archive).__name__} ct")
    archive.store(paths)
    (found,) = archive.find({"StudyInstanceUID": series_of(paths[0]).study_uid, "Modality": "CT"})
    assert (found.series_uid, found.count) == (series_of(paths[0]).series_uid, 5)
    assert content(fetched(archive, found, tmp_path)) == content(paths)


def test_a_file_stored_twice_is_there_once(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path, 2)
    archive.store(paths)
    archive.store(paths)
    (found,) = archive.find({"SeriesInstanceUID": series_of(paths[0]).series_uid})
    assert found.count == 2


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_compressed_images_come_as_they_are(archive: Both, tmp_path: Path, syntax: str) -> None:
    paths = write(
        tmp_path / "jp2", slices=2, seed=f"{type(archive).__name__} {syntax}", transfer_syntax=syntax, intercept=0.0
    )
    archive.store(paths)
    assert content(fetched(archive, series_of(paths[0]), tmp_path)) == content(paths)


def test_the_headers_say_what_rules_ask_about(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path, slices=1, seed=f"{type(archive).__name__} headers")
    archive.store(paths)
    (found,) = archive.find({"SeriesInstanceUID": series_of(paths[0]).series_uid})
    wanted = {"Modality", "StudyDate", "StudyDescription", "SeriesDescription", "BodyPartExamined", "PatientID"}
    assert wanted <= found.headers.keys()
    assert found.headers["SeriesNumber"] == (1,)


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [
        ({"StudyDate": "20260101"}, True),
        ({"StudyDate": "20251231-20260102"}, True),
        ({"StudyDate": "20260102-"}, False),
        ({"Modality": "MR"}, False),
        ({"PatientID": "FIND*"}, True),
        ({"PatientID": "NOBODY"}, False),
    ],
)
def test_it_finds_what_is_asked_for(archive: Both, tmp_path: Path, asked: dict[str, str], is_found: bool) -> None:
    paths = saved(tmp_path, patient_id="FIND-1")
    archive.store(paths)
    found = {series.series_uid for series in archive.find(asked)}
    assert (series_of(paths[0]).series_uid in found) is is_found


def test_a_keyword_that_dicom_does_not_know_is_refused(archive: Both) -> None:
    with pytest.raises(ArchiveRefused, match="StudyDay: DICOM has no such keyword"):
        list(archive.find({"StudyDay": "20260101"}))


def test_it_says_what_is_missing(archive: Both, tmp_path: Path) -> None:
    held, absent = saved(tmp_path / "held", 3), saved(tmp_path / "absent", 2)
    archive.store(held)
    assert archive.missing(references([*held, *absent])) == {each.sop_uid for each in references(absent)}
    assert archive.missing([]) == frozenset()


def test_an_object_in_another_series_than_its_own_is_missing(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path)
    archive.store(paths)
    (held,) = references(paths)
    assert archive.missing([ObjectReference(held.study_uid, "1.2.3", held.sop_uid, held.sop_class)]) == {held.sop_uid}


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^Jürgen=山田^太郎"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 6\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_a_patient_is_known_by_name_in_any_script(archive: Both, tmp_path: Path, character_set: str, name: str) -> None:
    paths = saved(tmp_path, character_set=character_set, patient_name=name)
    archive.store(paths)
    held = archive.identity(series_of(paths[0]).study_uid)
    assert held is not None
    assert held.patient_name == name


def test_a_patient_is_known_with_issuer_and_accession(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path, slices=1, seed=f"{type(archive).__name__} identity")
    archive.store(paths)
    held = archive.identity(series_of(paths[0]).study_uid)
    assert held is not None
    assert (held.patient_id, held.issuer_of_patient_id, held.accession_number) == ("PHANTOM-1", "ORCHESTRATOR", "A-1")


def test_nobody_is_known_for_a_study_that_it_lacks(archive: Both) -> None:
    assert archive.identity("1.2.3.4") is None


def test_a_study_of_two_patients_is_refused(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path / "one")
    study, series = series_of(paths[0]).study_uid, series_of(paths[0]).series_uid
    other = saved(tmp_path / "other", patient_id="P2")
    change(other, lambda dataset: dataset.update({"StudyInstanceUID": study, "SeriesInstanceUID": series}))
    archive.store([*paths, *other])
    with pytest.raises(ArchiveRefused, match=f"study {study} under 2 patients"):
        archive.identity(study)


def test_a_series_that_is_gone_is_refused(archive: Both, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match=r"series 1\.2\.4 no longer"):
        fetched(archive, FoundSeries("1.2.3", "1.2.4"), tmp_path)


def test_what_is_no_dicom_file_is_refused(archive: Both, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all" * 40)
    with pytest.raises(ArchiveRefused, match="vna"):
        archive.store([broken])


def test_a_broken_file_holds_up_none_of_the_others(own: OrthancArchive, tmp_path: Path, peer: Orthanc) -> None:
    paths = saved(tmp_path, 2)
    peer.put(paths)
    told: list[Notification] = []
    inbox = SpoolInbox(Spool(tmp_path / "spool"), source="vna", series_uid="9.9", notify=told.append)
    with pytest.raises(ArchiveRefused, match=r"nothing of series .* that can be kept"):
        own.fetch(series_of(paths[0]), inbox)
    assert told == []


# --- who may come in ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("guarded"), user="host:secret") as running:
        yield running


@pytest.mark.parametrize("way", [by_api, by_dicomweb])
def test_user_and_password_let_in(guarded: Orthanc, way: Callable[..., Both]) -> None:
    assert way(guarded, username="host", password="secret").echo() > 0


@pytest.mark.parametrize("way", [by_api, by_dicomweb])
@pytest.mark.parametrize("told", [{}, {"username": "host", "password": "wrong"}])
def test_without_them_a_person_is_told_what_to_set(
    guarded: Orthanc, way: Callable[..., Both], told: dict[str, str]
) -> None:
    with pytest.raises(ArchiveRefused, match="401: check username and password_file"):
        way(guarded, **told).echo()


@pytest.mark.parametrize("scheme", ["orthanc+http", "dicomweb+http"])
def test_an_archive_that_is_down_is_unavailable(scheme: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"'vna' .* cannot be reached: .*refused"):
        connect(f"{scheme}://127.0.0.1:{free_port()}", name="vna").echo()


# --- its changes ----------------------------------------------------------------------------------------------


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
    assert "was set up anew" in caplog.text


# --- an Orthanc that answers as a test tells it to ------------------------------------------------------------

A, B = "instance-a", "instance-b"


@contextmanager
def scripted(
    changes: dict[str, list[Answer]], version: str = "1.10.1"
) -> Iterator[tuple[OrthancArchive, list[Request]]]:
    """Give an Orthanc with one series of two instances, and what it was asked. changes: since -> answers in turn."""
    asked: list[Request] = []
    held = {"ID": "s", "Instances": [A, B], "ParentStudy": "st", "MainDicomTags": {"SeriesInstanceUID": "1.2.3"}}
    study = {"ID": "st", "MainDicomTags": {"StudyInstanceUID": "1.2"}}
    described = {"Series": [held | {"Labels": ["research"]}], "Study": [study]}

    def answer(request: Request) -> Answer:
        asked.append(request)
        if request.path == "/system":
            return in_json({"Version": version})
        if request.path == "/tools/find":
            return in_json(["s"])
        if request.path == "/tools/bulk-content":
            return in_json(described[json.loads(request.body)["Level"]])
        return changes[next(iter(request.query.get("since", ["last"])))].pop(0)

    with web_server(answer) as port:
        archive = connect(f"orthanc+http://127.0.0.1:{port}", name="vna")
        assert isinstance(archive, OrthancArchive)
        yield archive, asked


def in_json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


def page(*changes: tuple[int, str, str], last: int | None = None) -> Answer:
    told = [{"Seq": number, "ChangeType": kind, "ID": name} for number, kind, name in changes]
    return in_json({"Changes": told, "Done": True, "Last": changes[-1][0] if last is None else last})


ANCHOR = (7, "StablePatient", "p")
CURSOR = "7 p"


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ([("NewInstance", A)], ""),
        ([("NewInstance", A), ("NewInstance", B), ("StableSeries", "s")], ""),
        ([("StableSeries", "s"), ("NewInstance", B)], ""),
        ([("NewInstance", B), ("CompletedSeries", "s"), ("NewInstance", A)], ""),
        ([("NewSeries", "s"), ("CompletedSeries", "s"), ("StableStudy", "st")], "CompletedSeries"),
    ],
)
def test_the_last_word_about_a_series_counts(kinds: list[tuple[str, str]], reason: str) -> None:
    told = [(8 + number, kind, name) for number, (kind, name) in enumerate(kinds)]
    with scripted({"6": [page(ANCHOR, *told)]}) as (archive, _):
        (change,) = archive.changes(CURSOR).changes
    assert (change.series.series_uid, change.series.count) == ("1.2.3", 2)
    assert (reason in change.complete) if reason else not change.complete


def test_one_question_is_asked_where_nothing_is_new() -> None:
    with scripted({"6": [page(ANCHOR)]}) as (archive, asked):
        look = archive.changes(CURSOR)
    assert (look.changes, look.cursor, look.more) == ((), CURSOR, False)
    assert [request.path for request in asked] == ["/changes"]


@pytest.mark.parametrize("last", [7, 6], ids=["it says the last number", "it says what it was asked"])
def test_a_change_whose_patient_was_deleted_is_no_new_beginning(last: int, caplog: pytest.LogCaptureFixture) -> None:
    with scripted({"6": [page(last=last), page((9, "NewInstance", A))], "last": [page(last=7)]}) as (archive, _):
        look = archive.changes(CURSOR)
        assert (look.changes, look.cursor) == ((), CURSOR)
        assert len(archive.changes(look.cursor).changes) == 1
    assert "anew" not in caplog.text


def test_labels_are_asked_of_a_version_that_knows_them() -> None:
    with scripted({}, "1.12.3") as (archive, asked):
        (found,) = archive.find({"Labels": "research\\trial", "StudyDate": "20260101"})
    (question,) = [json.loads(request.body) for request in asked if request.path == "/tools/find"]
    assert (question["Labels"], question["LabelsConstraint"]) == (["research", "trial"], "Any")
    assert found.headers["Labels"] == ("research",)


def test_labels_are_not_asked_of_a_version_that_ignores_them(own: OrthancArchive) -> None:
    with pytest.raises(ArchiveRefused, match=r"is Orthanc 1\.\d+\.\d+; to be asked this it has to be 1\.12\.0"):
        list(own.find({"Labels": "research"}))


def test_a_version_that_cannot_be_watched_says_so() -> None:
    with scripted({}, "1.9.2") as (archive, _), pytest.raises(ArchiveRefused, match=r"1\.9\.4 or newer"):
        archive.changes("")


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'{"Changes": []}', b"<html>", b"\xff", b""])
def test_what_is_no_list_of_changes_is_refused(body: bytes) -> None:
    with scripted({"6": [Answer(body=body)]}) as (archive, _), pytest.raises(ArchiveRefused, match="'vna'"):
        archive.changes(CURSOR)


@pytest.mark.parametrize("cursor", ["x", "1.5 p", "-"])
def test_a_cursor_of_another_archive_is_refused(own: OrthancArchive, cursor: str) -> None:
    with pytest.raises(ArchiveRefused, match="begin anew"):
        own.changes(cursor)


# --- what is said in the log ----------------------------------------------------------------------------------


def test_nothing_of_a_patient_is_logged(archive: Both, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    paths = saved(tmp_path, patient_id=f"SECRET-{type(archive).__name__}", patient_name="Secret^Name")
    archive.store(paths)
    (found,) = archive.find({"PatientID": f"SECRET-{type(archive).__name__}"})
    fetched(archive, found, tmp_path)
    archive.identity(found.study_uid)
    assert "secret" not in caplog.text.lower()


@pytest.mark.parametrize(
    ("body", "told"), [(b"20261124T120000", datetime(2026, 11, 24, 12, 0, tzinfo=UTC)), (b"<html>", None)]
)
def test_its_clock_is_read_where_it_tells_one(body: bytes, told: datetime | None) -> None:
    with web_server(lambda _: Answer(body=body)) as port:
        assert by_url(f"orthanc+http://127.0.0.1:{port}").clock() == told


def test_an_answer_about_the_time_that_does_not_end_is_refused() -> None:
    endless = (bytes(1 << 20) for _ in range(200))
    with (
        web_server(lambda _: Answer(body=endless)) as port,
        pytest.raises(ArchiveRefused, match="more than 64 MiB"),
    ):
        by_url(f"orthanc+http://127.0.0.1:{port}").clock()


def by_url(url: str) -> OrthancArchive:
    archive = connect(url, name="vna")
    assert isinstance(archive, OrthancArchive)
    return archive
