"""An Orthanc that answers as a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from orchestrator.archive import connect
from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.errors import ArchiveRefused
from tests.parts.archive.web_server import Answer, Request, web_server

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
    assert "restarted" not in caplog.text


def test_labels_are_asked_of_a_version_that_knows_them() -> None:
    with scripted({}, "1.12.3") as (archive, asked):
        (found,) = archive.find({"Labels": "research\\trial", "StudyDate": "20260101"})
    (question,) = [json.loads(request.body) for request in asked if request.path == "/tools/find"]
    assert (question["Labels"], question["LabelsConstraint"]) == (["research", "trial"], "Any")
    assert found.headers["Labels"] == ("research",)


def test_labels_are_not_asked_of_a_version_that_ignores_them(own: OrthancArchive) -> None:
    with pytest.raises(ArchiveRefused, match=r"is Orthanc 1\.\d+\.\d+; this request needs 1\.12\.0"):
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
    with pytest.raises(ArchiveRefused, match="start again without a cursor"):
        own.changes(cursor)


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
