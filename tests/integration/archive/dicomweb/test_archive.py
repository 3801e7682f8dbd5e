"""DICOMweb archives that answer badly, each in its own way: a clear fault, and nothing lost."""

from __future__ import annotations

import gzip
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from orchestrator.archive import Arrival, Notification, Spool, SpoolInbox, connect
from orchestrator.archive.dicomweb.archive import DicomwebArchive
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, StorageFull
from orchestrator.domain.ports import FoundSeries, ObjectReference
from tests.data.objects import instance
from tests.parts.archive.web_server import Answer, Request, web_server
from tests.parts.certificates import Authority

SERIES = FoundSeries("1.2", "1.2.3")
MULTIPART = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut-here'}


@contextmanager
def archive_that(answers: Callable[[Request], Answer], **told: Any) -> Iterator[DicomwebArchive]:
    """Give an archive that answers so."""
    with web_server(answers) as port:
        archive = connect(f"dicomweb+http://127.0.0.1:{port}/rs", name="vna", **told)
        assert isinstance(archive, DicomwebArchive)
        yield archive


def always(*arguments: Any, **more: Any) -> Callable[[Request], Answer]:
    return lambda _: Answer(*arguments, **more)


def dataset(**values: object) -> dict[str, Any]:
    """Return an answer in DICOM's JSON model, of elements such as x0020000D="1.2"; a list is several values."""
    return {
        tag.lstrip("x"): {"vr": "UI", "Value": value if isinstance(value, list) else [value]}
        for tag, value in values.items()
    }


def answered(*datasets: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(datasets, ensure_ascii=False).encode())


def series(number: int, **more: object) -> dict[str, Any]:
    return dataset(**{"x0020000D": "1.2", "x0020000E": f"1.2.{number}", **more})


def file(sop_uid: str, series_uid: str = SERIES.series_uid) -> bytes:
    written = BytesIO()
    instance(study="1.2", series=series_uid, sop_uid=sop_uid).save_as(written, enforce_file_format=True)
    return written.getvalue()


def multipart(*files: bytes) -> bytes:
    parts = [b"--cut-here\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in files]
    return b"".join(parts) + b"--cut-here--\r\n"


@contextmanager
def inbox(folder: Path) -> Iterator[tuple[SpoolInbox, Callable[[], set[str]]]]:
    """Give an inbox and what tells which instances are in it."""
    told: list[Notification] = []
    made = SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=SERIES.series_uid, notify=told.append)

    def held() -> set[str]:
        made.settle()
        return {note.sop_uid for note in told if isinstance(note, Arrival)}

    yield made, held
    made.close(whole=False)


# --- faults that any answer may have ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (Answer(500), ArchiveUnavailable, "answers with 500"),
        (Answer(502), ArchiveUnavailable, "answers with 502"),
        (Answer(503, headers={"Retry-After": "120"}), ArchiveUnavailable, "503 and asks to be left alone for 120 s"),
        (Answer(429, headers={"Retry-After": "Doe^Jane"}), ArchiveUnavailable, "answers with 429$"),
        (Answer(501), ArchiveRefused, "does not offer this service"),
        (Answer(400), ArchiveRefused, "does not understand"),
        (Answer(401), ArchiveRefused, "check username and password_file"),
        (Answer(403), ArchiveRefused, "let the user of the settings"),
        (Answer(404), ArchiveRefused, "check the path in the url"),
        (Answer(406), ArchiveRefused, "in the format"),
        (Answer(418), ArchiveRefused, "answers with 418$"),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), ArchiveRefused, "redirect .* never followed"),
        (Answer(body=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"}), ArchiveRefused, "packs its answers"),
        (Answer(body=b"<html>"), ArchiveRefused, "no JSON"),
        (Answer(body=b'{"a": 1}'), ArchiveRefused, "something else than a list"),
        (Answer(body=b"[1]"), ArchiveRefused, "something else than a list"),
        (Answer(body=b"[" * 100_000), ArchiveRefused, "no JSON"),
        (Answer(body='[{"00100010": "Müller"}]'.encode("latin-1")), ArchiveRefused, "character set than UTF-8"),
        (Answer(body=b"[{", length=4711), ArchiveUnavailable, "broke the connection off"),
        (Answer(body=itertools.repeat(b" " * (1 << 20))), ArchiveRefused, "more than 64 MiB"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_a_bad_answer_is_a_fault_by_its_name(answer: Answer, fault: type[Exception], words: str) -> None:
    with archive_that(lambda _: answer) as archive, pytest.raises(fault, match=f"'vna'.*{words}"):
        archive.identity("1.2")


def test_an_archive_that_says_nothing_is_unavailable() -> None:
    released = threading.Event()

    def silent(_: Request) -> Answer:
        released.wait(30)
        return Answer()

    with archive_that(silent, timeout_seconds=0.2) as archive:
        with pytest.raises(ArchiveUnavailable, match=r"does not answer in 0\.2 s"):
            archive.echo()
        released.set()


def test_an_answer_that_comes_in_drops_is_given_up() -> None:
    drops = (b" " for _ in iter(lambda: time.sleep(0.05), 0))
    fault = pytest.raises(ArchiveUnavailable, match=r"did not end its answer in 0\.3 s")
    with archive_that(always(body=itertools.islice(drops, 100)), timeout_seconds=0.3) as archive, fault:
        archive.echo()


# --- queries --------------------------------------------------------------------------------------------------


def test_all_pages_are_asked_for() -> None:
    def paged(request: Request) -> Answer:
        offset = int(request.query["offset"][0])
        return answered(*[series(number) for number in range(offset, min(offset + 3, 7))])

    with archive_that(paged) as archive:
        assert [found.series_uid for found in archive.find({})] == [f"1.2.{number}" for number in range(7)]


@pytest.mark.parametrize("status", [200, 204])
def test_an_archive_that_answers_with_nothing_has_nothing(status: int) -> None:
    with archive_that(always(status)) as archive:
        assert list(archive.find({"Modality": "CT"})) == []
        assert archive.identity("1.2") is None


def test_an_archive_that_ignores_the_offset_is_asked_twice_and_no_more() -> None:
    asked: list[Request] = []

    def the_same(request: Request) -> Answer:
        asked.append(request)
        return answered(series(1), series(2))

    with archive_that(the_same) as archive:
        assert len(list(archive.find({}))) == 2
    assert len(asked) == 2


def test_answers_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.archive.dicomweb.archive._MOST_ANSWERS", 20)
    numbers = itertools.count()
    fault = pytest.raises(ArchiveRefused, match="more than 20: ask for fewer days")
    with archive_that(lambda _: answered(*[series(next(numbers)) for _ in range(8)])) as archive, fault:
        list(archive.find({}))


@pytest.mark.parametrize(
    ("asked", "told", "is_kept"),
    [
        ({"PatientID": "P1"}, {"x00100020": "P1"}, True),
        ({"PatientID": "P1"}, {"x00100020": "P2"}, False),
        ({"PatientID": "P1"}, {}, True),
        ({"PatientID": "P[1]"}, {"x00100020": "P[1]"}, True),
        ({"PatientID": "p*"}, {"x00100020": "P1"}, True),
        ({"StudyInstanceUID": "1.2"}, {"x0020000D": "1.3"}, False),
        ({"SeriesInstanceUID": "1.2.1\\1.2.9"}, {}, True),
        ({"SeriesInstanceUID": "1.2.8\\1.2.9"}, {}, False),
        ({"Modality": "CT"}, {"x00080060": "MR"}, False),
        ({"ModalitiesInStudy": "CT"}, {"x00080061": ["MR", "CT"]}, True),
        ({"StudyDate": "20260101-20260107"}, {"x00080020": "20260107"}, True),
        ({"StudyDate": "20260101-20260107"}, {"x00080020": "20260108"}, False),
        ({"StudyDate": "20260101-"}, {"x00080020": "20251231"}, False),
        ({"PatientName": "Doe*"}, {"x00100010": {"Alphabetic": "Dœ^Jane"}}, True),
    ],
)
def test_what_the_archive_answers_beyond_the_query_is_left_out(
    asked: dict[str, str], told: dict[str, object], *, is_kept: bool
) -> None:
    with archive_that(lambda _: answered(series(1, **told))) as archive:
        assert bool(list(archive.find(asked))) is is_kept


@pytest.mark.parametrize(
    "answer",
    [
        {},
        dataset(x0020000D="1.2"),
        dataset(x0020000D="1.2", x0020000E="../../etc"),
        {"0020000D": None, "0020000E": {"vr": "UI", "Value": None}},
        {"0020000D": {"vr": "UI"}, "zzz": 1, "00080008": {"Value": "no list"}},
    ],
)
def test_an_answer_that_names_no_series_is_left_out(answer: dict[str, Any]) -> None:
    with archive_that(lambda _: answered(answer, series(1))) as archive:
        assert [found.series_uid for found in archive.find({})] == ["1.2.1"]


def test_odd_values_are_read_with_care() -> None:
    odd = {
        "x00201209": "12",
        "x00200011": "no number",
        "x00100010": {"Alphabetic": "Yamada^Tarou", "Ideographic": None, "Phonetic": "やまだ"},
        "x00080061": ["CT", None, ""],
        "x00081140": {"00080018": {"vr": "UI"}},
    }
    with archive_that(lambda _: answered(series(1, **odd))) as archive:
        (found,) = archive.find({})
    assert found.count == 12
    assert found.headers["PatientName"] == ("Yamada^Tarou==やまだ",)
    assert found.headers["ModalitiesInStudy"] == ("CT",)
    assert not {"SeriesNumber", "ReferencedImageSequence"} & found.headers.keys()


def test_what_is_asked_is_written_as_archives_read_it() -> None:
    asked: list[Request] = []

    def note(request: Request) -> Answer:
        asked.append(request)
        return answered()

    with archive_that(note) as archive:
        list(archive.find({"PatientID": "A*?", "PatientName": "Müller & Söhne", "StudyDate": "20260101-20260102"}))
    assert asked[0].query["PatientName"] == ["Müller & Söhne"]
    assert "NumberOfSeriesRelatedInstances" in asked[0].query["includefield"]
    assert asked[0].headers["accept-encoding"] == "identity"


def test_the_study_of_another_patient_is_not_taken_for_the_one_asked_for() -> None:
    other = dataset(x0020000D="1.9", x00100020="P2")
    ours = dataset(x0020000D="1.2", x00100020="P1")
    with archive_that(lambda _: answered(other, ours, other)) as archive:
        held = archive.identity("1.2")
        assert held is not None
        assert held.patient_id == "P1"
        assert archive.identity("1.3") is None


def test_instances_of_other_series_do_not_count_as_held() -> None:
    wanted = ObjectReference("1.2", "1.2.3", "1.2.3.4", "")
    other = dataset(x0020000D="1.2", x0020000E="1.2.9", x00080018="1.2.3.4")
    with archive_that(lambda _: answered(other)) as archive:
        assert archive.missing([wanted]) == {"1.2.3.4"}


# --- series that are fetched ------------------------------------------------------------------------------------


def test_a_series_comes_part_by_part(tmp_path: Path) -> None:
    body = multipart(*[file(f"1.2.3.{number}") for number in range(9)])
    pieces = [body[start : start + 700] for start in range(0, len(body), 700)]
    with archive_that(always(body=pieces, headers=MULTIPART)) as archive, inbox(tmp_path) as (place, held):
        assert archive.fetch(SERIES, place) == 9
        assert held() == {f"1.2.3.{number}" for number in range(9)}


@pytest.mark.parametrize("length", [None, -1], ids=["of a length", "of no length"])
def test_half_a_series_is_unavailable_and_what_came_stays(tmp_path: Path, length: int | None) -> None:
    whole = multipart(*[file(f"1.2.3.{number}") for number in range(3)])
    half = Answer(body=whole[: len(whole) - 100], length=length or len(whole), headers=MULTIPART)
    answers = iter([half, Answer(body=whole, headers=MULTIPART)])
    with archive_that(lambda _: next(answers)) as archive, inbox(tmp_path) as (place, held):
        with pytest.raises(ArchiveUnavailable, match="broke"):
            archive.fetch(SERIES, place)
        assert held() == {"1.2.3.0", "1.2.3.1"}
        assert archive.fetch(SERIES, place) == 3
    assert {path.suffix for path in (tmp_path / "spool").rglob("*") if path.is_file()} == {".dcm"}


def test_an_image_of_another_series_is_refused_and_the_others_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = multipart(file("1.2.3.1"), file("1.2.9.1", "1.2.9"), b"no DICOM", file("1.2.3.2"))
    with archive_that(always(body=body, headers=MULTIPART)) as archive, inbox(tmp_path) as (place, held):
        assert archive.fetch(SERIES, place) == 2
        assert held() == {"1.2.3.1", "1.2.3.2"}
    assert "is left out: data set is of series 1.2.9, not 1.2.3" in caplog.text


def test_a_large_file_is_filed_while_it_comes(tmp_path: Path) -> None:
    written = BytesIO()
    large = instance(study="1.2", series=SERIES.series_uid, sop_uid="1.2.3.1", pixels=bytes(9 << 20))
    large.save_as(written, enforce_file_format=True)
    body = multipart(written.getvalue(), file("1.2.3.2"))
    with archive_that(always(body=body, headers=MULTIPART)) as archive, inbox(tmp_path) as (place, held):
        assert archive.fetch(SERIES, place) == 2
        assert held() == {"1.2.3.1", "1.2.3.2"}
    (path,) = (tmp_path / "spool").rglob("1.2.3.1-*.dcm")
    assert dcmread(path) == large


def test_a_full_disk_ends_the_fetch(tmp_path: Path) -> None:
    place = SpoolInbox(
        Spool(tmp_path / "spool", minimum_free_mb=1 << 40), source="vna", series_uid="1.2.3", notify=lambda _: None
    )
    body = multipart(file("1.2.3.1"), file("1.2.3.2"))
    with archive_that(always(body=body, headers=MULTIPART)) as archive, pytest.raises(StorageFull):
        archive.fetch(SERIES, place)


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (Answer(404), ArchiveRefused, "holds series 1.2.3 no longer"),
        (Answer(204), ArchiveRefused, "holds series 1.2.3 no longer"),
        (Answer(body=multipart(), headers=MULTIPART), ArchiveRefused, "no longer|broke"),
        (Answer(body=file("1.2.3.1"), headers={"Content-Type": "application/dicom"}), ArchiveRefused, "another form"),
        (Answer(body=b"<html>", headers={"Content-Type": "text/html"}), ArchiveRefused, "another form"),
        (Answer(body=b"<html>", headers=MULTIPART), ArchiveUnavailable, "broke its answer off"),
        (Answer(body=multipart(b"x", b"y"), headers=MULTIPART), ArchiveRefused, "nothing of series 1.2.3 that"),
        (Answer(body=b"", headers={**MULTIPART, "Content-Encoding": "gzip"}), ArchiveRefused, "packs its answers"),
    ],
    ids=["404", "204", "no part", "no multipart", "a page", "a page as multipart", "no DICOM", "packed"],
)
def test_what_is_no_series_is_a_fault(tmp_path: Path, answer: Answer, fault: type[Exception], words: str) -> None:
    with archive_that(lambda _: answer) as archive, inbox(tmp_path) as (place, held):
        with pytest.raises(fault, match=words):
            archive.fetch(SERIES, place)
        assert held() == set()


# --- objects that are stored ------------------------------------------------------------------------------------


def stored(reason: int | None = None, code: int = 200, *, warning: int | None = None) -> Answer:
    """Return an answer to STOW-RS about one object, that was refused for a reason or stored."""
    told = dataset(x00081155="1.2.3.1")
    more = {"00081197": reason} if reason else {"00081196": warning} if warning else {}
    told |= {tag: {"vr": "US", "Value": [value]} for tag, value in more.items()}
    body = {"00081198" if reason else "00081199": {"vr": "SQ", "Value": [told]}}
    return Answer(code, json.dumps(body).encode())


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    for number, path in enumerate(made, start=1):
        path.write_bytes(file(f"1.2.3.{number}"))
    return made


def test_the_files_go_out_as_they_are_in_one_request(paths: list[Path]) -> None:
    asked: list[Request] = []

    def take(request: Request) -> Answer:
        asked.append(request)
        return stored()

    with archive_that(take) as archive:
        archive.store(paths)
    (request,) = asked
    assert (request.method, request.path) == ("POST", "/rs/studies")
    assert all(path.read_bytes() in request.body for path in paths)


@pytest.mark.parametrize("answer", [stored(), Answer(), Answer(202), stored(warning=0xB000, code=202)])
def test_what_is_stored_with_or_without_a_word_is_stored(paths: list[Path], answer: Answer) -> None:
    with archive_that(lambda _: answer) as archive:
        archive.store(paths)


@pytest.mark.parametrize("code", [200, 202, 409])
def test_a_duplicate_is_stored_already(paths: list[Path], code: int) -> None:
    with archive_that(lambda _: stored(0x0111, code)) as archive:
        archive.store(paths)


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (stored(0x0122, 202), ArchiveRefused, "refuses 1 objects: 1.2.3.1 with 0122H"),
        (stored(0x0110, 200), ArchiveRefused, "with 0110H"),
        (stored(0xA700, 409), ArchiveUnavailable, "out of resources for 1.2.3.1"),
        (Answer(409), ArchiveRefused, "does not say why"),
        (Answer(413), ArchiveRefused, "larger bodies"),
        (Answer(415), ArchiveRefused, "in this format"),
        (Answer(503), ArchiveUnavailable, "503"),
        (Answer(200, b"<html>"), ArchiveRefused, "no JSON"),
    ],
)
def test_what_is_not_stored_is_a_fault(paths: list[Path], answer: Answer, fault: type[Exception], words: str) -> None:
    with archive_that(lambda _: answer) as archive, pytest.raises(fault, match=words):
        archive.store(paths)


def test_nothing_to_store_asks_nothing() -> None:
    connect("dicomweb+http://127.0.0.1:1", name="vna").store([])


# --- TLS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def by_tls(authority: Authority, *, expired: bool = False, mutual: bool = False) -> ssl.SSLContext:
    pair = authority.issue("expired" if expired else "archive", expired=expired)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    if mutual:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def echo(context: ssl.SSLContext, host: str = "127.0.0.1", **told: Any) -> float:
    with web_server(always(200), context) as port:
        return connect(f"dicomweb+https://{host}:{port}", name="vna", **told).echo()


def test_an_archive_of_the_named_authority_is_believed(authority: Authority) -> None:
    assert echo(by_tls(authority), ca_file=authority.certificate) > 0


def test_an_archive_that_asks_for_our_certificate_gets_it(authority: Authority) -> None:
    ours = authority.issue("host")
    told = {"ca_file": authority.certificate, "certificate_file": ours.certificate, "key_file": ours.key}
    assert echo(by_tls(authority, mutual=True), **told) > 0


@pytest.mark.parametrize(
    ("expired", "named", "words"),
    [(True, True, "certificate has expired"), (False, False, "unable to get local issuer certificate")],
)
def test_a_certificate_that_does_not_hold_is_refused(
    authority: Authority, words: str, *, expired: bool, named: bool
) -> None:
    told = {"ca_file": authority.certificate} if named else {}
    with pytest.raises(ArchiveRefused, match=f"does not hold \\({words}\\): renew it there, or name the authority"):
        echo(by_tls(authority, expired=expired), **told)


def test_an_archive_that_wants_a_certificate_we_lack_says_what_to_set(authority: Authority) -> None:
    with pytest.raises(ArchiveRefused, match=r"agrees on no TLS .*: set certificate_file and key_file"):
        echo(by_tls(authority, mutual=True), ca_file=authority.certificate)


def test_an_archive_without_tls_on_its_port_is_told(authority: Authority) -> None:
    with web_server(always(200)) as port, pytest.raises(ArchiveRefused, match="see that it speaks TLS"):
        connect(f"orthanc+https://127.0.0.1:{port}", name="vna", ca_file=authority.certificate).echo()


def test_a_file_that_holds_no_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ArchiveRefused, match=r"empty\.pem cannot be used for TLS"):
        echo(by_tls(authority), ca_file=tmp_path / "empty.pem")


# --- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["dicomweb+http:///rs", "dicomweb+https://user@host/rs", "orthanc+http://host:x", "orthanc+http://host/?a=b"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"port|no address of an archive"):
        connect(url, name="vna")
