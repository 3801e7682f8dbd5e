"""Series fetched and objects stored by DICOMweb: a clear fault, and nothing lost."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Spool, SpoolInbox, connect
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, StorageFull
from tests.data.objects import instance
from tests.integration.archive.dicomweb.answers import (
    MULTIPART,
    SERIES,
    always,
    archive_that,
    dataset,
    file,
    inbox,
    multipart,
)
from tests.parts.archive.web_server import Answer, Request

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
        with pytest.raises(ArchiveUnavailable, match=r"incomplete|closed the connection"):
            archive.fetch(SERIES, place)
        assert held() == {"1.2.3.0", "1.2.3.1"}
        assert archive.fetch(SERIES, place) == 3
    left = {path.name for path in (tmp_path / "spool").rglob("*") if path.is_file()}
    assert {name for name in left if not name.endswith(".dcm")} == {"sources.json"}


def test_an_image_of_another_series_is_refused_and_the_others_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = multipart(file("1.2.3.1"), file("1.2.9.1", "1.2.9"), b"no DICOM", file("1.2.3.2"))
    with archive_that(always(body=body, headers=MULTIPART)) as archive, inbox(tmp_path) as (place, held):
        assert archive.fetch(SERIES, place) == 2
        assert held() == {"1.2.3.1", "1.2.3.2"}
    assert "left out: data set is of series 1.2.9, not 1.2.3" in caplog.text


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
        (Answer(404), ArchiveRefused, "no longer holds series 1.2.3"),
        (Answer(204), ArchiveRefused, "no longer holds series 1.2.3"),
        (Answer(body=multipart(), headers=MULTIPART), ArchiveRefused, "no longer|incomplete"),
        (
            Answer(body=file("1.2.3.1"), headers={"Content-Type": "application/dicom"}),
            ArchiveRefused,
            "as multipart",
        ),
        (Answer(body=b"<html>", headers={"Content-Type": "text/html"}), ArchiveRefused, "as multipart"),
        (Answer(body=b"<html>", headers=MULTIPART), ArchiveUnavailable, "sent an incomplete answer"),
        (Answer(body=multipart(b"x", b"y"), headers=MULTIPART), ArchiveRefused, "no valid instance of series 1.2.3"),
        (Answer(body=b"", headers={**MULTIPART, "Content-Encoding": "gzip"}), ArchiveRefused, "compresses answers"),
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
        (stored(0x0122, 202), ArchiveRefused, "refuses 1 object: 1.2.3.1 with 0122H"),
        (stored(0x0110, 200), ArchiveRefused, "with 0110H"),
        (stored(0xA700, 409), ArchiveUnavailable, "out of resources for 1.2.3.1"),
        (Answer(409), ArchiveRefused, "gives no reason"),
        (Answer(413), ArchiveRefused, "limit for request bodies"),
        (Answer(415), ArchiveRefused, "in this format"),
        (Answer(503), ArchiveUnavailable, "503"),
        (Answer(200, b"<html>"), ArchiveRefused, "does not answer with JSON"),
    ],
)
def test_what_is_not_stored_is_a_fault(paths: list[Path], answer: Answer, fault: type[Exception], words: str) -> None:
    with archive_that(lambda _: answer) as archive, pytest.raises(fault, match=words):
        archive.store(paths)


def test_nothing_to_store_asks_nothing() -> None:
    connect("dicomweb+http://127.0.0.1:1", name="vna").store([])
