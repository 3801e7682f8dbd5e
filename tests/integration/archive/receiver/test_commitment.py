"""Storage commitment as its provider, and archives' reports, against pynetdicom on the other side."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, build_context, build_role, evt

from orchestrator.archive import Commitments, KnownSender, PendingReports
from orchestrator.archive.commitment.transactions import CommitmentResult, commitment_request
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import instance, write_instances
from tests.integration.archive.conftest import Station, debts, wait_until
from tests.parts.archive.dcmtk import free_port, storescu
from tests.parts.archive.modality import Reports, ask, associated
from tests.parts.archive.orthanc import orthanc

NO_UID = commitment_request("1.2.3", [ObjectReference("1", "2", "3.4", "5.6")])
NO_UID.ReferencedSOPSequence[0]["ReferencedSOPInstanceUID"] = DataElement(
    0x00081155, "UI", "../../etc", validation_mode=0, already_converted=True
)
NO_LIST = Dataset()
NO_LIST.TransactionUID = "1.2.3"
Start = Callable[..., Station]


@pytest.fixture
def promising(start: Start, owed: PendingReports) -> Station:
    return start(pending_reports=owed)


def failures(report: Dataset) -> dict[str, int]:
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in report.get("FailedSOPSequence", ())}


def test_what_lies_in_the_spool_is_promised_on_the_same_association(promising: Station, reports: Reports) -> None:
    images, transaction = [instance() for _ in range(3)], generate_uid()
    with associated(promising.port, reports) as association:
        for image in images:
            assert association.send_c_store(image).Status == 0
        assert ask(association, [(CTImageStorage, image.SOPInstanceUID) for image in images], transaction) == 0
        wait_until(lambda: len(reports) == 1)
    ((event, report),) = reports
    assert (event, report.TransactionUID, "FailedSOPSequence" in report) == (1, transaction, False)
    promised = {item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence}
    assert promised == {image.SOPInstanceUID for image in images}


def test_what_is_not_there_is_not_promised_and_the_reason_is_told(promising: Station, reports: Reports) -> None:
    here, absent = instance(), generate_uid()
    other = instance()
    with associated(promising.port, reports) as association:
        for image in (here, other):
            association.send_c_store(image)
        wanted = [(CTImageStorage, here.SOPInstanceUID), (CTImageStorage, absent)]
        assert ask(association, [*wanted, (MRImageStorage, other.SOPInstanceUID)]) == 0
        wait_until(lambda: len(reports) == 1)
    ((event, report),) = reports
    assert event == 2
    assert failures(report) == {absent: 0x0112, other.SOPInstanceUID: 0x0119}
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [here.SOPInstanceUID]


def test_an_image_that_was_cleared_away_is_not_promised_any_more(
    promising: Station, reports: Reports, tmp_path: Path
) -> None:
    storescu(promising.port, write_instances(tmp_path / "sent", 1))
    wait_until(lambda: len(promising.arrivals) == 1)
    promising.arrivals[0].path.unlink()
    with associated(promising.port, reports) as association:
        ask(association, [(CTImageStorage, promising.arrivals[0].sop_uid)])
        wait_until(lambda: len(reports) == 1)
    assert failures(reports[0][1]) == {promising.arrivals[0].sop_uid: 0x0112}


def test_an_image_that_cannot_be_read_any_more_is_not_promised(
    promising: Station, reports: Reports, tmp_path: Path
) -> None:
    storescu(promising.port, write_instances(tmp_path / "sent", 1))
    wait_until(lambda: len(promising.arrivals) == 1)
    promising.arrivals[0].path.write_bytes(b"")
    with associated(promising.port, reports) as association:
        ask(association, [(CTImageStorage, promising.arrivals[0].sop_uid)])
        wait_until(lambda: len(reports) == 1)
    assert failures(reports[0][1]) == {promising.arrivals[0].sop_uid: 0x0110}


def test_nothing_is_promised_unless_the_settings_say_so(
    station: Station, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    with associated(station.port, reports) as association:
        assert ask(association, [(CTImageStorage, "1.2.3")]) == 0x0211
    assert "receiver.commitment" in caplog.text
    assert reports == []


@pytest.mark.parametrize(
    ("request_", "action", "asked", "status"),
    [
        (NO_LIST, 1, PUSH_MODEL_INSTANCE, 0x0115),
        (commitment_request("1.2.3", []), 1, PUSH_MODEL_INSTANCE, 0x0115),
        (NO_UID, 1, PUSH_MODEL_INSTANCE, 0x0115),
        (commitment_request("1.2.3", []), 2, PUSH_MODEL_INSTANCE, 0x0123),
        (commitment_request("1.2.3", []), 1, "1.2.3", 0x0112),
    ],
    ids=["no list", "no object", "no UID", "another action", "another instance"],
)
def test_what_is_no_request_for_commitment_is_refused(
    promising: Station, reports: Reports, request_: Dataset, action: int, asked: str, status: int
) -> None:
    with associated(promising.port, reports) as association:
        answer, _ = association.send_n_action(request_, action, PUSH_MODEL, asked)
        assert answer.Status == status
        assert association.send_c_store(instance()).Status == 0


def test_a_report_is_owed_before_its_request_is_answered_and_until_it_is_answered_itself(
    promising: Station, owed: PendingReports, tmp_path: Path
) -> None:
    seen: list[list[str]] = []
    with associated(promising.port, []) as association:

        def hear(event: evt.Event) -> tuple[int, None]:
            seen.append(debts(tmp_path))
            return 0x0000, None

        association.bind(evt.EVT_N_EVENT_REPORT, hear)
        ask(association, [(CTImageStorage, "1.4")], "1.2.3")
        wait_until(lambda: bool(seen) and not debts(tmp_path))
    assert [[name.partition("-")[0] for name in names] for names in seen] == [["1.2.3"]]


def test_what_the_full_disk_does_not_keep_is_refused(
    promising: Station, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with associated(promising.port, reports) as association:
        with monkeypatch.context() as patch:
            patch.setattr("orchestrator.archive.commitment.pending_reports.write_durably", full)
            assert ask(association, [(CTImageStorage, "1.4")]) == 0x0213
        assert association.send_c_store(instance()).Status == 0
    assert reports == []


def test_below_the_minimum_of_free_space_nothing_is_promised(
    start: Start, owed: PendingReports, reports: Reports
) -> None:
    station = start(pending_reports=owed, minimum_free_mb=1 << 40)
    with associated(station.port, reports) as association:
        assert ask(association, [(CTImageStorage, "1.4")]) == 0x0213
    assert reports == []


def test_what_cannot_be_kept_for_another_reason_is_a_processing_failure(
    promising: Station, reports: Reports, tmp_path: Path
) -> None:
    (tmp_path / "owed").write_text("a file where the folder should be")
    with associated(promising.port, reports) as association:
        assert ask(association, [(CTImageStorage, "1.4")]) == 0x0110
    assert reports == []


@pytest.fixture
def commitments(tmp_path: Path) -> Commitments:
    return Commitments(tmp_path / "commitments")


def report(station: Station, transaction: str, kept: list[str], syntax: str = ImplicitVRLittleEndian) -> int:
    """Report as an archive does, on an association of its own in the role of the provider; return the status."""
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence = [Dataset() for _ in kept]
    for item, sop_uid in zip(information.ReferencedSOPSequence, kept, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, sop_uid
    association = AE("PACS").associate(
        "127.0.0.1",
        station.port,
        contexts=[build_context(PUSH_MODEL, syntax)],
        ae_title="ORCHESTRATOR",
        ext_neg=[build_role(PUSH_MODEL, scp_role=True)],
    )
    assert association.is_established
    try:
        status, _ = association.send_n_event_report(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        return int(status.Status)
    finally:
        association.release()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_an_archives_report_lies_where_its_question_waits(start: Start, commitments: Commitments, syntax: str) -> None:
    station = start(commitments=commitments)
    commitments.expect("1.2.3")
    assert report(station, "1.2.3", ["1.4.5"], syntax) == 0
    assert commitments.result("1.2.3") == CommitmentResult("1.2.3", frozenset({"1.4.5"}), {})


def test_a_report_that_nobody_asked_for_is_refused_and_kept_nowhere(start: Start, commitments: Commitments) -> None:
    station = start(commitments=commitments)
    assert report(station, "1.2.3", ["1.4.5"]) == 0x0115
    assert commitments.result("1.2.3") is None


def test_where_nobody_waits_for_reports_none_is_taken(station: Station) -> None:
    assert report(station, "1.2.3", ["1.4.5"]) == 0x0211


def test_orthanc_is_told_what_lies_here_on_an_association_of_our_own(
    start: Start, owed: PendingReports, tmp_path: Path
) -> None:
    """Orthanc asks, releases at once, and waits for the report at its own port (PS3.4 J.3.3)."""
    port = free_port()
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": port}
    with orthanc(tmp_path / "orthanc", DicomAet="ORTHANC", DicomModalities={"ours": ours}) as archive:
        known = KnownSender(ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port)
        station = start(port=port, pending_reports=owed, senders=[known])
        (image,) = write_instances(tmp_path / "sent", 1)
        storescu(port, [image])
        here = dcmread(image)
        wanted = [[here.SOPClassUID, here.SOPInstanceUID], [CTImageStorage, "1.2.3.4"]]
        asked = archive.ask("POST", "/modalities/ours/storage-commitment", json={"DicomInstances": wanted})
        told = f"/storage-commitment/{asked.json()['ID']}"
        wait_until(lambda: archive.ask("GET", told).json()["Status"] != "Pending")
        report = archive.ask("GET", told).json()
    assert station.closed
    assert [item["SOPInstanceUID"] for item in report["Success"]] == [here.SOPInstanceUID]
    assert [(item["SOPInstanceUID"], item["FailureReason"]) for item in report["Failures"]] == [("1.2.3.4", 0x0112)]
