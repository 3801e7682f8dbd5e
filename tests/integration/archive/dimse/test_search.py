"""Series found by C-FIND: in dcmqrscp, and in peers that answer oddly."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND  # noqa: N814

from orchestrator.archive.dimse import DimseArchive, query
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from tests.data.objects import write_instances
from tests.parts.archive.dcmtk import dcmqrscp
from tests.parts.archive.dicom_peer import Handlers, ScriptedPeer, connected, dataset_of, peer_that, scripted_peer

STUDY = {"StudyInstanceUID": "1.2", "StudyDate": "20260105", "PatientID": "P1"}
SERIES = {"SeriesInstanceUID": "1.2.3", "Modality": "CT", "NumberOfSeriesRelatedInstances": "7"}
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DimseArchive]:
    """Return a dcmqrscp with three studies, of three patients, of one series each."""
    folder = tmp_path_factory.mktemp("find")
    with dcmqrscp(folder / "archive") as peer:
        archive = connected(peer.url)
        archive.store(write_instances(folder / "a", 3, patient_id="P1", patient_name="Müller^Jörg"))
        archive.store(write_instances(folder / "b", 2, patient_id="P2", accession="A2"))
        archive.store(write_instances(folder / "c", 1, patient_id="P3", study="1.2.3", series="1.2.3.4"))
        yield archive


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedPeer]:
    with scripted_peer(FIND) as peer:
        yield peer


def by_level(studies: list[Answer], series: list[Answer], asked: list[Dataset] | None = None) -> Handlers:
    """Return a handler that answers each level as told, and notes what it was asked."""

    def handler(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        if asked is not None:
            asked.append(event.identifier)
        for answer in studies if event.identifier.QueryRetrieveLevel == "STUDY" else series:
            yield 0xFF00, dataset_of(**answer)

    return {evt.EVT_C_FIND: handler}


def test_all_series_of_some_days_are_found(pacs: DimseArchive) -> None:
    assert len(list(pacs.find({"StudyDate": "20251231-20260102"}))) == 3
    assert list(pacs.find({"StudyDate": "20260102-"})) == []


def test_keys_of_study_and_series_are_asked_together(pacs: DimseArchive) -> None:
    (found,) = pacs.find({"PatientID": "P2", "Modality": "CT"})
    assert found.headers["AccessionNumber"] == ("A2",)
    assert list(pacs.find({"PatientID": "P2", "Modality": "MR"})) == []


def test_the_headers_are_those_of_study_and_series_in_their_characters(pacs: DimseArchive) -> None:
    (found,) = pacs.find({"PatientID": "P1"})
    assert found.headers["PatientName"] == ("Müller^Jörg",)
    assert (found.headers["Modality"], found.headers["SeriesNumber"]) == (("CT",), (1,))


def test_a_series_is_found_by_its_uids(pacs: DimseArchive) -> None:
    (found,) = pacs.find({"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"})
    assert (found.study_uid, found.series_uid) == ("1.2.3", "1.2.3.4")
    assert list(pacs.find({"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.5"})) == []


def test_a_series_level_query_names_its_study(peer: ScriptedPeer) -> None:
    asked: list[Dataset] = []
    peer.script = by_level([STUDY], [SERIES], asked)
    (found,) = connected(peer.url).find({"StudyDate": "20260105", "Modality": "CT"})
    assert [(each.QueryRetrieveLevel, each.StudyInstanceUID) for each in asked] == [("STUDY", ""), ("SERIES", "1.2")]
    assert (asked[0].StudyDate, asked[0].ModalitiesInStudy, asked[1].Modality) == ("20260105", "CT", "CT")
    assert (found.series_uid, found.count, found.headers["StudyDate"]) == ("1.2.3", 7, ("20260105",))


@pytest.mark.parametrize(
    ("query", "studies", "series"),
    [
        ({"PatientID": "P1"}, [STUDY | {"PatientID": "P2"}], [SERIES]),
        ({"StudyDate": "20260101-20260102"}, [STUDY], [SERIES]),
        ({"StudyInstanceUID": "1.9"}, [STUDY], [SERIES]),
        ({"Modality": "MR"}, [STUDY], [SERIES]),
        ({"PatientID": "P1"}, [STUDY | {"StudyInstanceUID": ""}], [SERIES]),
        ({"PatientID": "P1"}, [STUDY], [SERIES | {"SeriesInstanceUID": "not a UID"}]),
        ({"PatientID": "P1"}, [STUDY], [SERIES | {"StudyInstanceUID": "1.9"}]),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_was_not_asked_for_is_left_out(
    peer: ScriptedPeer, query: Answer, studies: list[Answer], series: list[Answer]
) -> None:
    peer.script = by_level(studies, series)
    assert list(connected(peer.url).find(query)) == []


def test_a_count_that_is_not_answered_is_none(peer: ScriptedPeer) -> None:
    peer.script = by_level([STUDY], [{"SeriesInstanceUID": "1.2.3"}])
    (found,) = connected(peer.url).find({"PatientID": "P1"})
    assert found.count is None


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize("character_set", ["ISO_IR 192", "NONSENSE", ""])
def test_a_wrong_character_set_loses_letters_and_no_series(peer: ScriptedPeer, character_set: str) -> None:
    study = dataset_of(**STUDY, SpecificCharacterSet=character_set)
    study.add_new("PatientName", "PN", b"M\xfcller")

    def handler(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, study if event.identifier.QueryRetrieveLevel == "STUDY" else dataset_of(**SERIES)

    peer.script = {evt.EVT_C_FIND: handler}
    (found,) = connected(peer.url).find({"PatientID": "P1"})
    assert str(found.headers["PatientName"][0]).startswith("M")


def test_a_name_that_is_asked_for_goes_out_as_utf_8(peer: ScriptedPeer) -> None:
    asked: list[Dataset] = []
    peer.script = by_level([], [], asked)
    assert list(connected(peer.url).find({"PatientName": "Müller*"})) == []
    assert (asked[0].SpecificCharacterSet, str(asked[0].PatientName)) == ("ISO_IR 192", "Müller*")


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(ArchiveRefused, match="StudyDat"):
        list(connected("dimse://PACS@127.0.0.1:1").find({"StudyDat": "20260101"}))


def test_too_many_answers_are_refused(peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MOST_ANSWERS", 3)
    studies = [STUDY | {"StudyInstanceUID": f"1.{number}"} for number in range(9)]
    peer.script = by_level(studies, [])
    with pytest.raises(ArchiveRefused, match="fewer days"):
        list(connected(peer.url).find({"PatientID": "P1"}))


def ends_with(status: int) -> Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]:
    def handler(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, dataset_of(**STUDY)
        yield status, None

    return handler


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xFE00, ArchiveRefused), (0xA700, ArchiveUnavailable), (0xA900, ArchiveRefused), (0xC001, ArchiveRefused)],
)
def test_a_query_that_is_not_answered_whole_is_an_error(
    peer: ScriptedPeer, status: int, error: type[Exception]
) -> None:
    peer.script = {evt.EVT_C_FIND: ends_with(status)}
    with pytest.raises(error, match="C-FIND"):
        list(connected(peer.url).find({"PatientID": "P1"}))


def test_an_abort_between_answers_is_unavailable(peer: ScriptedPeer) -> None:
    def handler(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, dataset_of(**STUDY)
        event.assoc.abort()

    peer.script = {evt.EVT_C_FIND: handler}
    with pytest.raises(ArchiveUnavailable):
        list(connected(peer.url).find({"PatientID": "P1"}))


def test_an_archive_that_aborts_at_once_is_unavailable() -> None:
    with peer_that({evt.EVT_ESTABLISHED: lambda event: event.assoc.abort()}, FIND) as url:
        for _ in range(5):
            with pytest.raises(ArchiveUnavailable):
                list(connected(url, timeout_seconds=30.0).find({"PatientID": "P1"}))


def test_who_looks_at_the_first_answers_only_leaves_nothing_open(peer: ScriptedPeer) -> None:
    peer.script = by_level([STUDY], [SERIES, SERIES | {"SeriesInstanceUID": "1.2.4"}])
    found = connected(peer.url).find({"PatientID": "P1"})
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert next(connected(peer.url).find({"PatientID": "P1"})).series_uid == "1.2.3"


def test_a_name_of_a_host_that_nobody_knows_is_unavailable() -> None:
    with pytest.raises(ArchiveUnavailable, match="host name not found"):
        list(connected("dimse://PACS@pacs.invalid:104").find({"PatientID": "P1"}))


def test_a_thread_of_the_library_that_wakes_late_takes_no_answer(
    peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = threading.Event.wait

    def late(event: threading.Event, timeout: float | None = None) -> bool:
        came = wait(event, timeout)
        thread = threading.current_thread()
        if isinstance(thread, Association) and thread.is_requestor:
            time.sleep(0.05)
        return came

    monkeypatch.setattr(threading.Event, "wait", late)
    peer.script = by_level([STUDY], [SERIES | {"SeriesInstanceUID": f"1.2.{number}"} for number in range(20)])
    found = []
    for series in connected(peer.url, timeout_seconds=30.0).find({"PatientID": "P1"}):
        time.sleep(0.01)
        found.append(series)
    assert len(found) == 20
