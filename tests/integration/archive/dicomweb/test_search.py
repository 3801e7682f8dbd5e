"""Queries by DICOMweb, and archives that answer them oddly."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import ObjectReference
from tests.integration.archive.dicomweb.answers import always, answered, archive_that, dataset, series
from tests.parts.archive.web_server import Answer, Request


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
    fault = pytest.raises(ArchiveRefused, match="more than 20 answers: query fewer days")
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
