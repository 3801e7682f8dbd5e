"""The archive's user side against dcmqrscp, storescp and pynetdicom peers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND  # noqa: N814
from pynetdicom.sop_class import Verification

from orchestrator.archive.dimse import DimseArchive
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import write_instance, write_instances
from tests.parts.archive.dcmtk import Peer, dcmqrscp, findscu, free_port, storescp
from tests.parts.archive.dicom_peer import answers_of, connected, peer_that

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def archive_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with dcmqrscp(tmp_path_factory.mktemp("dcmqrscp") / "archive") as peer:
        yield peer


@pytest.fixture
def pacs(archive_peer: Peer) -> DimseArchive:
    return connected(archive_peer.url)


def reference(path: Path) -> ObjectReference:
    header = dcmread(path)
    return ObjectReference(header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID, CT)


def study_of(path: Path) -> str:
    return str(dcmread(path).StudyInstanceUID)


def test_an_echo_is_timed(pacs: DimseArchive) -> None:
    assert 0 < pacs.echo() < 1


def test_what_was_stored_is_not_missing(pacs: DimseArchive, archive_peer: Peer, tmp_path: Path) -> None:
    files = write_instances(tmp_path, 3)
    assert pacs.missing([reference(path) for path in files]) == {reference(path).sop_uid for path in files}
    pacs.store(files)
    assert pacs.missing([reference(path) for path in files]) == frozenset()
    where = [f"{key}={dcmread(files[0])[key].value}" for key in ("StudyInstanceUID", "SeriesInstanceUID")]
    found = findscu(archive_peer.port, "QueryRetrieveLevel=IMAGE", *where, "SOPInstanceUID")
    assert found.stderr.count("Find Response:") == 3


def test_one_instance_of_many_is_missing(pacs: DimseArchive, tmp_path: Path) -> None:
    held, lacked = write_instances(tmp_path / "a", 2), write_instances(tmp_path / "b", 2)
    pacs.store([*held, lacked[0]])
    asked = [reference(path) for path in [*held, *lacked]]
    assert pacs.missing(asked) == {reference(lacked[1]).sop_uid}


def test_an_instance_in_another_study_is_missing_from_this_one(pacs: DimseArchive, tmp_path: Path) -> None:
    (file,) = write_instances(tmp_path, 1)
    pacs.store([file])
    elsewhere = ObjectReference("1.2.3", reference(file).series_uid, reference(file).sop_uid, CT)
    assert pacs.missing([elsewhere]) == {elsewhere.sop_uid}


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "山田^太郎"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "Müller^Jörg"),
    ],
)
def test_the_identity_has_the_characters_of_the_study(
    pacs: DimseArchive, tmp_path: Path, character_set: str, name: str
) -> None:
    file = write_instance(tmp_path / "x.dcm", character_set=character_set, patient_name=name)
    pacs.store([file])
    identity = pacs.identity(study_of(file))
    assert identity is not None
    assert (identity.patient_name, identity.study_uid) == (name, study_of(file))
    assert (identity.patient_id, identity.birth_date, identity.sex) == ("P1", "19700101", "F")
    assert (identity.accession_number, identity.issuer_of_patient_id) == ("A1", "")


def test_an_unknown_study_has_no_identity(pacs: DimseArchive) -> None:
    assert pacs.identity("1.2.3.4.5") is None


def test_raw_bytes_leave_in_the_encoding_of_the_file(tmp_path: Path) -> None:
    sent = [
        write_instance(tmp_path / "a.dcm", transfer_syntax=JPEG2000Lossless),
        write_instance(tmp_path / "b.dcm", transfer_syntax=ExplicitVRBigEndian),
        write_instance(tmp_path / "c.dcm"),
    ]
    with storescp(tmp_path / "received", "+xa") as peer:
        connected(peer.url).store(sent)
        received = [dcmread(path) for path in peer.folder.iterdir()]
    assert sorted(file.file_meta.TransferSyntaxUID for file in received) == sorted(
        [JPEG2000Lossless, ExplicitVRBigEndian, ExplicitVRLittleEndian]
    )
    assert {file.SOPInstanceUID: file for file in received} == {
        dcmread(path).SOPInstanceUID: dcmread(path) for path in sent
    }


def test_a_refused_context_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    plain, compressed = write_instance(tmp_path / "a.dcm"), tmp_path / "b.dcm"
    write_instance(compressed, transfer_syntax=JPEG2000Lossless)
    with storescp(tmp_path / "received", "+x=") as peer:
        with pytest.raises(ArchiveRefused, match=JPEG2000Lossless.replace(".", r"\.")):
            connected(peer.url).store([plain, compressed])
        assert list(peer.folder.iterdir()) == []


def test_a_peer_that_takes_none_of_it_has_refused(tmp_path: Path) -> None:
    with peer_that({}, Verification) as url, pytest.raises(ArchiveRefused, match="offers no C-STORE"):
        connected(url).store(write_instances(tmp_path, 1))


def test_nobody_at_the_port_is_unavailable() -> None:
    archive = connected(f"dimse://PACS@127.0.0.1:{free_port()}")
    for call in (archive.echo, lambda: archive.identity("1.2"), lambda: archive.missing([ObjectReference(*"1234")])):
        with pytest.raises(ArchiveUnavailable, match="does not answer"):
            call()


def test_a_wrong_called_title_is_refused() -> None:
    with (
        peer_that({}, Verification, require_called_aet=True) as url,
        pytest.raises(ArchiveRefused, match="Called AE title not recognised"),
    ):
        connected(url.replace("PEER", "OTHER")).echo()


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xA700, ArchiveUnavailable), (0xA900, ArchiveRefused), (0xC000, ArchiveRefused), (0x0110, ArchiveRefused)],
)
def test_a_failure_of_one_object_ends_the_batch(tmp_path: Path, status: int, error: type[Exception]) -> None:
    answers = iter([0x0000, status])
    with peer_that({evt.EVT_C_STORE: lambda _: next(answers)}, CT) as url, pytest.raises(error, match=f"{status:04X}H"):
        connected(url).store(write_instances(tmp_path, 3))


def test_a_warning_counts_as_stored_and_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with peer_that({evt.EVT_C_STORE: lambda _: 0xB000}, CT) as url:
        connected(url).store(write_instances(tmp_path, 1))
    assert "with warning B000H" in caplog.text


def test_an_abort_in_the_middle_is_unavailable(tmp_path: Path) -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    with peer_that({evt.EVT_C_STORE: abort}, CT) as url, pytest.raises(ArchiveUnavailable):
        connected(url).store(write_instances(tmp_path, 2))


def test_an_answer_for_another_study_is_not_this_one() -> None:
    other = {"StudyInstanceUID": "9.9", "PatientID": "P9"}
    asked = {"StudyInstanceUID": "1.2", "PatientID": "P1"}
    with peer_that({evt.EVT_C_FIND: answers_of(other, asked)}, FIND) as url:
        identity = connected(url).identity("1.2")
        assert identity is not None
        assert identity.patient_id == "P1"
        assert connected(url).identity("1.3") is None


def test_one_study_under_two_patients_is_refused() -> None:
    answers = [{"StudyInstanceUID": "1.2", "PatientID": patient} for patient in ("P1", "P2")]
    with (
        peer_that({evt.EVT_C_FIND: answers_of(*answers)}, FIND) as url,
        pytest.raises(ArchiveRefused, match=r"study 1\.2 under 2 patients"),
    ):
        connected(url).identity("1.2")


def test_a_name_without_its_character_set_is_not_guessed() -> None:
    answer = {"StudyInstanceUID": "1.2", "PatientName": "Müller^Jörg"}

    with (
        peer_that({evt.EVT_C_FIND: answers_of(answer)}, FIND) as url,
        pytest.raises(ArchiveRefused, match="names no character set") as refused,
    ):
        connected(url).identity("1.2")
    assert "ller" not in str(refused.value)


def test_a_query_that_fails_is_refused() -> None:
    with (
        peer_that({evt.EVT_C_FIND: lambda _: iter([(0xC001, None)])}, FIND) as url,
        pytest.raises(ArchiveRefused, match="C001H"),
    ):
        connected(url).identity("1.2")


def test_each_series_is_one_query() -> None:
    queries: list[Dataset] = []

    def answer(event: evt.Event) -> Iterator[tuple[int, None]]:
        queries.append(event.identifier)
        yield 0x0000, None

    references = [
        ObjectReference("1.2", series, f"{series}.{index}", CT) for series in ("1.3", "1.4") for index in range(50)
    ]
    with peer_that({evt.EVT_C_FIND: answer}, FIND) as url:
        assert len(connected(url).missing(references)) == 100
    assert [query.SeriesInstanceUID for query in queries] == ["1.3", "1.4"]


def test_an_archive_that_is_not_to_be_asked_is_not(tmp_path: Path) -> None:
    archive = connected("dimse://PACS@127.0.0.1:1", ask=False)
    for call in (lambda: archive.identity("1.2"), lambda: archive.missing([ObjectReference(*"1234")])):
        with pytest.raises(ArchiveRefused, match="must not be queried"):
            call()


def test_nothing_to_send_or_to_ask_opens_no_association() -> None:
    archive = connected(f"dimse://PACS@127.0.0.1:{free_port()}")
    archive.store([])
    assert archive.missing([]) == frozenset()


def test_what_is_no_dicom_file_cannot_be_sent(pacs: DimseArchive, tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_text("hello")
    with pytest.raises(UnreadableFile):
        pacs.store([tmp_path / "x.dcm"])
