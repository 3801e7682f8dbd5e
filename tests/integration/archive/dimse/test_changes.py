"""A DIMSE archive watched by its counts of recent studies."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND  # noqa: N814

from orchestrator.archive.dimse import DimseArchive
from orchestrator.archive.query import changes as counting
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import Change
from tests.parts.archive.dicom_peer import ScriptedPeer, connected, dataset_of, scripted_peer


class Ward:
    """Studies as an archive answers for them: study -> series -> count."""

    def __init__(self, *, counts_studies: bool = True, counts_series: bool = True) -> None:
        self.studies: dict[str, dict[str, int]] = {}
        self.days: dict[str, str] = {}
        self.queries: list[Dataset] = []
        self._counts_studies = counts_studies
        self._counts_series = counts_series

    def add(self, study: str, day: date | None = None, **_: Any) -> dict[str, int]:
        self.days[study] = f"{day or date.today():%Y%m%d}"
        return self.studies.setdefault(study, {})

    def answer(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked = event.identifier
        self.queries.append(asked)
        for study, series in self.studies.items():
            if asked.QueryRetrieveLevel == "STUDY" and self.days[study] >= asked.StudyDate.rstrip("-"):
                yield 0xFF00, self._of_study(study, series)
            elif asked.StudyInstanceUID == study:
                for uid, count in series.items():
                    yield 0xFF00, self._of_series(study, uid, count)

    def _of_study(self, study: str, series: dict[str, int]) -> Dataset:
        counted = {"NumberOfStudyRelatedInstances": sum(series.values())} if self._counts_studies else {}
        return dataset_of(StudyInstanceUID=study, StudyDate=self.days[study], **counted)

    def _of_series(self, study: str, uid: str, count: int) -> Dataset:
        counted = {"NumberOfSeriesRelatedInstances": count} if self._counts_series else {}
        return dataset_of(StudyInstanceUID=study, SeriesInstanceUID=uid, Modality="CT", **counted)

    def levels(self) -> list[str]:
        """Return the levels that were asked since the last call."""
        asked, self.queries = self.queries, []
        return [query.QueryRetrieveLevel for query in asked]


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedPeer]:
    with scripted_peer(FIND) as peer:
        yield peer


def watched(peer: ScriptedPeer, ward: Ward) -> DimseArchive:
    peer.script = {evt.EVT_C_FIND: ward.answer}
    return connected(peer.url)


def counts(found: tuple[Change, ...]) -> dict[str, int | None]:
    return {change.series.series_uid: change.series.count for change in found}


def test_the_first_look_begins_now(peer: ScriptedPeer) -> None:
    ward = Ward()
    ward.add("1.2")["1.2.1"] = 5
    archive = watched(peer, ward)
    first = archive.changes("")
    assert first.changes == archive.changes(first.cursor).changes == ()


def test_what_came_and_what_grew_is_told_once(peer: ScriptedPeer) -> None:
    ward = Ward()
    ward.add("1.2").update({"1.2.1": 5, "1.2.2": 7})
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    ward.studies["1.2"]["1.2.1"] = 9
    ward.add("1.3")["1.3.1"] = 1
    second = archive.changes(cursor)
    assert counts(second.changes) == {"1.2.1": 9, "1.3.1": 1}
    assert archive.changes(second.cursor).changes == ()


def test_a_count_that_stands_still_completes_nothing(peer: ScriptedPeer) -> None:
    ward = Ward()
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    ward.add("1.2")["1.2.1"] = 5
    (change,) = archive.changes(cursor).changes
    assert change.complete == ""


def test_only_studies_that_changed_are_looked_into_and_never_their_images(peer: ScriptedPeer) -> None:
    ward = Ward()
    for number in range(5):
        ward.add(f"1.{number}")[f"1.{number}.1"] = 3
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    ward.studies["1.2"]["1.2.1"] = 4
    ward.levels()
    archive.changes(cursor)
    assert ward.levels() == ["STUDY", "SERIES"]


@pytest.mark.parametrize("counted", [{"counts_studies": False}, {"counts_series": False}])
def test_one_of_the_two_counts_is_enough(peer: ScriptedPeer, counted: dict[str, bool]) -> None:
    ward = Ward(**counted)
    ward.add("1.2")["1.2.1"] = 5
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    assert archive.changes(cursor).changes == ()
    ward.studies["1.2"]["1.2.1"] = 6
    assert counts(archive.changes(cursor).changes).keys() == {"1.2.1"}


def test_an_archive_that_counts_nothing_cannot_be_watched(peer: ScriptedPeer) -> None:
    ward = Ward(counts_studies=False, counts_series=False)
    ward.add("1.2")["1.2.1"] = 5
    with pytest.raises(ArchiveRefused, match="cannot be watched: let it send its images to the receiver"):
        watched(peer, ward).changes("")


def test_studies_of_yesterday_are_looked_at_and_older_ones_are_not(peer: ScriptedPeer) -> None:
    ward = Ward()
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    ward.add("1.1", date.today() - timedelta(days=1))["1.1.1"] = 1
    ward.add("1.2", date.today() - timedelta(days=2))["1.2.1"] = 1
    assert counts(archive.changes(cursor).changes) == {"1.1.1": 1}


def test_days_of_outage_are_made_up_for(peer: ScriptedPeer) -> None:
    ward = Ward()
    archive = watched(peer, ward)
    cursor = json.loads(archive.changes("").cursor) | {"day": f"{date.today() - timedelta(days=6)}"}
    ward.add("1.1", date.today() - timedelta(days=5))["1.1.1"] = 1
    assert counts(archive.changes(json.dumps(cursor)).changes) == {"1.1.1": 1}


class Tomorrows(date):
    """A clock that has jumped half a year ahead."""

    @classmethod
    def today(cls) -> date:
        return date.today() + timedelta(days=180)


def test_a_clock_that_jumps_ahead_and_back_repeats_nothing(peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward()
    ward.add("1.2")["1.2.1"] = 5
    archive = watched(peer, ward)
    cursor = archive.changes("").cursor
    with monkeypatch.context() as patched:
        patched.setattr(counting, "date", Tomorrows)
        cursor = archive.changes(cursor).cursor
    ward.add("1.3")["1.3.1"] = 1
    assert counts(archive.changes(cursor).changes) == {"1.3.1": 1}


def test_a_cursor_does_not_grow_for_ever(peer: ScriptedPeer) -> None:
    old = {f"{number:012x}": [1, {"0" * 12: 1}] for number in range(5000)}
    cursor = watched(peer, Ward()).changes(json.dumps({"day": f"{date.today()}", "studies": old})).cursor
    assert len(json.loads(cursor)["studies"]) == 2000


@pytest.mark.parametrize("cursor", ["17", "{}", '{"day": "x", "studies": {}}', '{"day": "2026-01-01", "studies": [1]}'])
def test_a_cursor_of_something_else_is_refused(peer: ScriptedPeer, cursor: str) -> None:
    with pytest.raises(ArchiveRefused, match="start again without a cursor"):
        watched(peer, Ward()).changes(cursor)


def test_a_look_that_fails_keeps_the_cursor(peer: ScriptedPeer) -> None:
    archive = watched(peer, Ward())
    peer.script = {evt.EVT_C_FIND: lambda _: iter([(0xA700, None)])}
    with pytest.raises(ArchiveUnavailable):
        archive.changes("")
