"""Reports of storage commitment to senders that did not wait for them, against pynetdicom on the other side."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import evt

from orchestrator.archive import DeferredEvents, KnownSender, PendingReports, Spool
from orchestrator.archive.commitment.pending_reports import CommitmentRequest, Reference
from orchestrator.archive.receiver.commitment_reports import Reporter
from orchestrator.backoff import Backoff
from orchestrator.network.tls import TlsFiles
from tests.integration.archive.conftest import Station, debts, wait_until
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.modality import Reports, ask, associated, leave_at_the_report, listening
from tests.parts.certificates import Authority

Start = Callable[..., Station]


def events(folder: Path) -> list[tuple[str, str, str]]:
    """Return the kind, subject and text of the events that are left for the engine, and take them away."""
    found: list[tuple[str, str, str]] = []
    DeferredEvents(folder / "untold").take(lambda event: found.append((event.kind, event.subject, event.text)))
    return found


def left_before_its_report(station: Station, transaction: str) -> None:
    """Ask for commitment and be gone before the report can be answered."""
    with associated(station.port, []) as association:
        leave_at_the_report(association)
        ask(association, [(CTImageStorage, "1.4")], transaction)
        wait_until(lambda: not association.is_established)


def asked(transaction: str = "1.2.3", *, requester: str = "CT1", seconds_ago: float = 0.0) -> CommitmentRequest:
    return CommitmentRequest(
        requester=requester,
        provider="ORCHESTRATOR",
        transaction_uid=transaction,
        references=(Reference(CTImageStorage, "1.4"),),
        requested_at=time.time() - seconds_ago,
    )


@pytest.fixture
def reporter(tmp_path: Path, owed: PendingReports) -> Iterator[Callable[..., Reporter]]:
    """Return a function that makes a reporter which may try for a minute."""
    made: list[Reporter] = []

    def reporting(*senders: KnownSender, limit_seconds: float = 60.0, wait_seconds: float = 0.2) -> Reporter:
        spool = Spool(tmp_path / "spool")
        made.append(
            Reporter(spool, owed, senders, limit_seconds=limit_seconds, retries=Backoff(wait_seconds, wait_seconds))
        )
        return made[-1]

    yield reporting
    for each in made:
        each.close()


def known(port: int, title: str = "CT1") -> KnownSender:
    return KnownSender(ae_title=title, host="127.0.0.1", port=port)


def test_who_left_is_told_where_the_settings_say(start: Start, owed: PendingReports, reports: Reports) -> None:
    port, transaction = free_port(), generate_uid()
    station = start(pending_reports=owed, senders=[known(port)])
    with listening("CT1", reports, port):
        left_before_its_report(station, transaction)
        wait_until(lambda: len(reports) == 1)
    assert (reports[0][0], reports[0][1].TransactionUID) == (2, transaction)


def test_who_left_and_has_no_address_is_named(start: Start, owed: PendingReports, tmp_path: Path) -> None:
    transaction = generate_uid()
    left_before_its_report(start(pending_reports=owed), transaction)
    wait_until(lambda: not debts(tmp_path))
    ((kind, subject, text),) = events(tmp_path)
    assert (kind, subject) == ("commitment-unreported", transaction)
    assert text.startswith(f"CT1 closed its association before the storage commitment report of transaction {subject};")
    assert "[[sender]]" in text


def test_a_sender_that_is_down_is_told_later(
    reporter: Callable[..., Reporter], owed: PendingReports, reports: Reports, tmp_path: Path
) -> None:
    port = free_port()
    owed.add(debt := asked())
    reporter(known(port)).schedule(debt)
    with listening("CT1", reports, port):
        wait_until(lambda: not debts(tmp_path))
    assert [report.TransactionUID for _, report in reports] == ["1.2.3"]


def test_what_an_earlier_process_owed_is_taken_up_and_told_once(
    start: Start, owed: PendingReports, reports: Reports, tmp_path: Path
) -> None:
    port = free_port()
    owed.add(asked("1.2.3"))
    owed.add(asked("1.2.4"))
    with listening("CT1", reports, port):
        for _ in range(2):
            later = PendingReports(tmp_path / "owed", DeferredEvents(tmp_path / "untold"))
            start(pending_reports=later, commitment=False, senders=[known(port)])
            wait_until(lambda: not debts(tmp_path))
    assert sorted(report.TransactionUID for _, report in reports) == ["1.2.3", "1.2.4"]


def test_what_an_earlier_process_owed_to_somebody_without_an_address_is_named(
    start: Start, owed: PendingReports, tmp_path: Path
) -> None:
    owed.add(asked())
    start(pending_reports=PendingReports(tmp_path / "owed", DeferredEvents(tmp_path / "untold")))
    assert debts(tmp_path) == []
    assert [(kind, subject) for kind, subject, _ in events(tmp_path)] == [("commitment-unreported", "1.2.3")]


def test_who_is_away_for_too_long_is_told_no_more_and_an_event_says_so(
    reporter: Callable[..., Reporter], owed: PendingReports, tmp_path: Path
) -> None:
    old, fresh, port = asked("1.2.3", seconds_ago=172_801), asked("1.2.4"), free_port()
    ours = reporter(known(port), limit_seconds=172_800.0)
    for debt in (old, fresh):
        owed.add(debt)
        ours.schedule(debt)
    wait_until(lambda: len(debts(tmp_path)) == 1)
    says = f"1.2.3 to CT1 not delivered within 2 days: archive 'CT1' (CT1 at 127.0.0.1:{port}) does not answer"
    text = f"storage commitment report of transaction {says}"
    assert events(tmp_path) == [("commitment-unreported", "1.2.3", text)]
    assert owed.is_pending(fresh)


def test_who_refuses_its_report_is_told_no_more_and_an_event_says_so(
    reporter: Callable[..., Reporter], owed: PendingReports, reports: Reports, tmp_path: Path
) -> None:
    port = free_port()
    owed.add(debt := asked())
    with listening("CT1", reports, port, answer=0x0115):
        reporter(known(port)).schedule(debt)
        wait_until(lambda: not debts(tmp_path))
    says = (
        "CT1 refused the storage commitment report of transaction 1.2.3 with 0115H; the sender can repeat its request"
    )
    assert events(tmp_path) == [("commitment-refused", "1.2.3", says)]


def test_one_report_that_never_arrives_holds_up_no_other(
    reporter: Callable[..., Reporter], owed: PendingReports, tmp_path: Path
) -> None:
    port, heard = free_port(), []
    ours = reporter(known(port), known(free_port(), "MR1"))
    bad = asked("1.2.3")
    for debt in (asked(requester="MR1"), bad, asked("1.2.4"), asked("1.2.5")):
        owed.add(debt)
        ours.schedule(debt)

    def hear(event: evt.Event) -> tuple[int, None]:
        if event.event_information.TransactionUID == bad.transaction_uid:
            event.assoc.abort()
        heard.append(event.event_information.TransactionUID)
        return 0x0000, None

    with listening("CT1", [], port, hear=hear):
        wait_until(lambda: {"1.2.4", "1.2.5"} <= set(heard))
        wait_until(lambda: len(debts(tmp_path)) == 2)
    assert owed.is_pending(bad)


def test_a_sender_is_told_under_tls(
    reporter: Callable[..., Reporter], owed: PendingReports, reports: Reports, tmp_path: Path
) -> None:
    authority, port = Authority(tmp_path / "tls"), free_port()
    theirs, ours = authority.issue("ct1"), authority.issue("orchestrator")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = TlsFiles(ca_file=authority.certificate, certificate_file=ours.certificate, key_file=ours.key)
    owed.add(debt := asked())
    with listening("CT1", reports, port, tls=context):
        reporter(KnownSender(ae_title="CT1", host="localhost", port=port, tls=tls)).schedule(debt)
        wait_until(lambda: len(reports) == 1)


def test_who_takes_no_reports_is_named(
    reporter: Callable[..., Reporter], owed: PendingReports, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    owed.add(debt := asked())
    with listening("CT1", reports, port, as_user=False):
        reporter(known(port)).schedule(debt)
        wait_until(lambda: "offers no storage commitment reports" in caplog.text)
    assert reports == []


def test_a_transaction_is_told_again_only_when_it_is_asked_again(
    start: Start, owed: PendingReports, reports: Reports, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    station = start(pending_reports=owed, senders=[known(port)])
    left_before_its_report(station, "1.2.3")
    wait_until(lambda: f"report of transaction 1.2.3 to CT1 at 127.0.0.1:{port} failed" in caplog.text)
    with associated(station.port, reports) as association:  # asked again while nobody listened at the address
        ask(association, [(CTImageStorage, "1.5")], "1.2.3")
        wait_until(lambda: not debts(tmp_path))
        with listening("CT1", reports, port):
            left_before_its_report(station, "1.2.4")
            wait_until(lambda: not debts(tmp_path))
        assert [report.TransactionUID for _, report in reports] == ["1.2.3", "1.2.4"]
        ask(association, [(CTImageStorage, "1.5")], "1.2.3")
        wait_until(lambda: not debts(tmp_path))
    assert [report.TransactionUID for _, report in reports] == ["1.2.3", "1.2.4", "1.2.3"]
