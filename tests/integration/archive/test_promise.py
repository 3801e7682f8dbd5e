"""Storage commitment as its provider, and archives' reports, against pynetdicom on the other side."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from orchestrator.archive import Commitments, Known, Tls
from orchestrator.archive.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Outcome, commitment_request
from orchestrator.archive.promise import Report
from orchestrator.archive.reporting import Reporter
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import instance, write_instances
from tests.integration.archive.conftest import Station, wait_until
from tests.parts.certificates import Authority
from tests.parts.dcmtk import free_port, storescu
from tests.parts.orthanc import orthanc

NO_UID = commitment_request("1.2.3", [ObjectReference("1", "2", "3.4", "5.6")])
NO_UID.ReferencedSOPSequence[0]["ReferencedSOPInstanceUID"] = DataElement(
    0x00081155, "UI", "../../etc", validation_mode=0, already_converted=True
)
NO_LIST = Dataset()
NO_LIST.TransactionUID = "1.2.3"
Start = Callable[..., Station]
Reports = list[tuple[int, Dataset]]


@pytest.fixture
def reports() -> Reports:
    return []


@pytest.fixture
def promising(start: Start) -> Station:
    return start(promise=True)


@contextmanager
def associated(station: Station, reports: Reports, *, calling: str = "CT1", **more: Any) -> Iterator[Association]:
    """Give an association for storage and commitment that notes the reports which come on it."""

    def note(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return 0x0000, None

    contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian), build_context(PUSH_MODEL)]
    association = AE(calling).associate(
        "127.0.0.1",
        station.port,
        contexts=contexts,
        ae_title="ORCHESTRATOR",
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, note)],
        **more,
    )
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def ask(association: Association, objects: list[tuple[str, str]], transaction: str = "") -> int:
    """Ask for the commitment of (class, instance) and return the status of the answer."""
    references = [ObjectReference("1.2", "1.3", sop_uid, sop_class) for sop_class, sop_uid in objects]
    request = commitment_request(transaction or generate_uid(), references)
    status, _ = association.send_n_action(request, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    return int(status.Status)


def failures(report: Dataset) -> dict[str, int]:
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in report.get("FailedSOPSequence", ())}


def test_what_lies_in_the_spool_is_promised_on_the_same_association(promising: Station, reports: Reports) -> None:
    images, transaction = [instance() for _ in range(3)], generate_uid()
    with associated(promising, reports) as association:
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
    with associated(promising, reports) as association:
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
    with associated(promising, reports) as association:
        ask(association, [(CTImageStorage, promising.arrivals[0].sop_uid)])
        wait_until(lambda: len(reports) == 1)
    assert failures(reports[0][1]) == {promising.arrivals[0].sop_uid: 0x0112}


def test_an_image_that_cannot_be_read_any_more_is_not_promised(
    promising: Station, reports: Reports, tmp_path: Path
) -> None:
    storescu(promising.port, write_instances(tmp_path / "sent", 1))
    wait_until(lambda: len(promising.arrivals) == 1)
    promising.arrivals[0].path.write_bytes(b"")
    with associated(promising, reports) as association:
        ask(association, [(CTImageStorage, promising.arrivals[0].sop_uid)])
        wait_until(lambda: len(reports) == 1)
    assert failures(reports[0][1]) == {promising.arrivals[0].sop_uid: 0x0110}


def test_nothing_is_promised_unless_the_settings_say_so(
    station: Station, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    with associated(station, reports) as association:
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
    with associated(promising, reports) as association:
        answer, _ = association.send_n_action(request_, action, PUSH_MODEL, asked)
        assert answer.Status == status
        assert association.send_c_store(instance()).Status == 0


@contextmanager
def listening(
    title: str, reports: Reports, port: int, *, as_user: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Run a sender's own port that takes reports; not ``as_user``: it is no user of storage commitment."""

    def note(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return 0x0000, None

    entity = AE(title)
    entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=as_user)
    handlers: Any = [(evt.EVT_N_EVENT_REPORT, note)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        yield
    finally:
        server.shutdown()


def left_before_its_report(station: Station, transaction: str) -> None:
    """Ask for commitment and be gone before the report can be answered."""
    with associated(station, []) as association:
        references = [ObjectReference("1.2", "1.3", "1.4", CTImageStorage)]

        def leave(event: evt.Event) -> tuple[int, None]:
            event.assoc.abort()
            return 0x0000, None

        association.bind(evt.EVT_N_EVENT_REPORT, leave)
        association.send_n_action(commitment_request(transaction, references), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        wait_until(lambda: not association.is_established)


def test_who_left_is_told_where_the_settings_say(start: Start, reports: Reports) -> None:
    port, transaction = free_port(), generate_uid()
    station = start(promise=True, senders=[Known(ae_title="CT1", host="127.0.0.1", port=port)])
    with listening("CT1", reports, port):
        left_before_its_report(station, transaction)
        wait_until(lambda: len(reports) == 1)
    assert (reports[0][0], reports[0][1].TransactionUID) == (2, transaction)


def test_who_left_and_has_no_address_is_named(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    station, transaction = start(promise=True), generate_uid()
    left_before_its_report(station, transaction)
    wait_until(lambda: f"CT1 left before it was told of transaction {transaction}" in caplog.text)


def test_a_sender_that_is_down_is_told_later(reports: Reports) -> None:
    port = free_port()
    reporter = Reporter([Known(ae_title="CT1", host="127.0.0.1", port=port)], waits_seconds=[0.0] + [0.2] * 50)
    reporter.later(Report("CT1", "ORCHESTRATOR", "1.2.3", (), {}))
    with listening("CT1", reports, port):
        wait_until(lambda: len(reports) == 1)
    reporter.close()
    assert reports[0][1].TransactionUID == "1.2.3"


def test_a_sender_is_told_under_tls(reports: Reports, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path / "tls"), free_port()
    theirs, ours = authority.issue("ct1"), authority.issue("orchestrator")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = Tls(ca_file=authority.certificate, certificate_file=ours.certificate, key_file=ours.key)
    reporter = Reporter([Known(ae_title="CT1", host="localhost", port=port, tls=tls)])
    with listening("CT1", reports, port, tls=context):
        reporter.later(Report("CT1", "ORCHESTRATOR", "1.2.3", (), {}))
        wait_until(lambda: len(reports) == 1)
    reporter.close()


def test_who_takes_no_reports_is_named(reports: Reports, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    reporter = Reporter([Known(ae_title="CT1", host="127.0.0.1", port=port)], waits_seconds=[0.0])
    with listening("CT1", reports, port, as_user=False):
        reporter.later(Report("CT1", "ORCHESTRATOR", "1.2.3", (), {}))
        wait_until(lambda: "offers no reports of storage commitment" in caplog.text)
    reporter.close()
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
    assert commitments.outcome("1.2.3") == Outcome("1.2.3", frozenset({"1.4.5"}), {})


def test_a_report_that_nobody_asked_for_is_refused_and_kept_nowhere(start: Start, commitments: Commitments) -> None:
    station = start(commitments=commitments)
    assert report(station, "1.2.3", ["1.4.5"]) == 0x0115
    assert commitments.outcome("1.2.3") is None


def test_where_nobody_waits_for_reports_none_is_taken(station: Station) -> None:
    assert report(station, "1.2.3", ["1.4.5"]) == 0x0211


@pytest.mark.xdist_group("orthanc")
def test_orthanc_is_told_what_lies_here_on_an_association_of_our_own(start: Start, tmp_path: Path) -> None:
    """Orthanc asks, releases at once, and waits for the report at its own port (PS3.4 J.3.3)."""
    port = free_port()
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": port}
    with orthanc(tmp_path / "orthanc", DicomAet="ORTHANC", DicomModalities={"ours": ours}) as archive:
        known = Known(ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port)
        station = start(port=port, promise=True, senders=[known])
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
