"""Storage commitment asked for: answered on the same association, on another one, later, or never."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt

from orchestrator.archive import Commitments, PendingReports
from orchestrator.archive.commitment.transactions import CommitmentResult, transaction_uid
from orchestrator.archive.dimse import committing
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import write_instances
from tests.integration.archive.conftest import Station
from tests.parts.archive.dicom_peer import Handlers, ScriptedPeer, connected, dataset_of, peer_that, scripted_peer

CT = "1.2.840.10008.5.1.4.1.1.2"
OBJECTS = [ObjectReference("1.2", "1.3", f"1.4.{number}", CT) for number in range(3)]
TRANSACTION = transaction_uid("pacs", OBJECTS)


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedPeer]:
    with scripted_peer(PUSH_MODEL) as peer:
        yield peer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def commitments(data: Path) -> Commitments:
    return Commitments(data / "commitments")


def report_on(request: Dataset, *failed: str) -> Dataset:
    """Return the report of a request in which these have failed."""
    items = {item.ReferencedSOPInstanceUID: item for item in request.ReferencedSOPSequence}
    lost = [dataset_of(ReferencedSOPInstanceUID=uid, ReferencedSOPClassUID=CT, FailureReason=0x0112) for uid in failed]
    kept = [item for uid, item in items.items() if uid not in failed]
    report = dataset_of(TransactionUID=request.TransactionUID, ReferencedSOPSequence=kept)
    if lost:
        report.FailedSOPSequence = lost
    return report


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little for an answer that does not come."""
    monkeypatch.setattr(committing, "_REPORT_SECONDS", 0.2)


def reports(make: Callable[[Dataset], Dataset], answered: list[int], *, last: bool = False) -> Handlers:
    """Return a script that takes the request, and reports on the same association a little later.

    last: it ends the association then.
    """

    def report(association: object, request: Dataset) -> None:
        time.sleep(0.05)
        status, _ = association.send_n_event_report(make(request), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)  # type: ignore[attr-defined]
        answered.append(status.Status)
        if last:
            association.abort()  # type: ignore[attr-defined]

    def ask(event: evt.Event) -> tuple[int, None]:
        threading.Thread(target=report, args=(event.assoc, event.action_information)).start()
        return 0x0000, None

    return {evt.EVT_N_ACTION: ask}


def says(status: int, asked: list[Dataset]) -> Handlers:
    """Return a script that answers the request with the status and reports nothing."""

    def ask(event: evt.Event) -> tuple[int, None]:
        asked.append(event.action_information)
        return status, None

    return {evt.EVT_N_ACTION: ask}


@pytest.mark.parametrize("failed", [(), ("1.4.1",), ("1.4.0", "1.4.1", "1.4.2")])
def test_an_answer_on_the_same_association_is_taken(peer: ScriptedPeer, data: Path, failed: tuple[str, ...]) -> None:
    answered: list[int] = []
    peer.script = reports(lambda request: report_on(request, *failed), answered)
    assert connected(peer.url, folder=data).uncommitted(OBJECTS) == set(failed)
    assert answered == [0x0000]


@pytest.mark.usefixtures("impatient")
def test_the_request_names_each_object(peer: ScriptedPeer, data: Path) -> None:
    asked: list[Dataset] = []
    peer.script = says(0x0000, asked)
    with pytest.raises(ArchiveUnavailable, match="has not committed itself to 3 objects yet"):
        connected(peer.url, folder=data).uncommitted(OBJECTS)
    assert asked[0].TransactionUID == TRANSACTION
    assert [item.ReferencedSOPInstanceUID for item in asked[0].ReferencedSOPSequence] == ["1.4.0", "1.4.1", "1.4.2"]


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_came_meanwhile_is_found_after_a_restart(
    peer: ScriptedPeer, data: Path, commitments: Commitments
) -> None:
    asked: list[Dataset] = []
    peer.script = says(0x0000, asked)
    for _ in range(2):
        with pytest.raises(ArchiveUnavailable):
            connected(peer.url, folder=data).uncommitted(OBJECTS)
    assert commitments.record(CommitmentResult(TRANSACTION, frozenset({"1.4.0", "1.4.2"}), {"1.4.1": 0x0112}))
    assert connected(peer.url, folder=data).uncommitted(OBJECTS) == {"1.4.1"}
    assert len(asked) == 1


def test_an_answer_that_was_taken_is_asked_for_anew(peer: ScriptedPeer, data: Path, commitments: Commitments) -> None:
    peer.script = reports(report_on, [])
    connected(peer.url, folder=data).uncommitted(OBJECTS)
    assert (commitments.result(TRANSACTION), commitments.request_age(TRANSACTION)) == (None, None)


@pytest.mark.usefixtures("impatient")
def test_after_a_long_silence_the_archive_is_asked_again(peer: ScriptedPeer, data: Path) -> None:
    asked: list[Dataset] = []
    peer.script = says(0x0000, asked)
    for _ in range(2):
        with pytest.raises(ArchiveUnavailable):
            connected(peer.url, folder=data).uncommitted(OBJECTS)
        (marked,) = (data / "commitments").iterdir()
        os.utime(marked, (0, time.time() - 3600))
    assert [each.TransactionUID for each in asked] == [TRANSACTION, TRANSACTION]


@pytest.mark.usefixtures("impatient")
def test_an_archive_still_at_work_on_it_has_not_refused(peer: ScriptedPeer, data: Path) -> None:
    peer.script = says(0x0131, [])
    with pytest.raises(ArchiveUnavailable, match="has not committed itself"):
        connected(peer.url, folder=data).uncommitted(OBJECTS)


def test_a_request_that_is_refused_was_not_made(peer: ScriptedPeer, data: Path, commitments: Commitments) -> None:
    peer.script = says(0x0124, [])
    with pytest.raises(ArchiveRefused, match="0124H"):
        connected(peer.url, folder=data).uncommitted(OBJECTS)
    assert commitments.request_age(TRANSACTION) is None


def test_a_report_of_something_else_is_told_so(peer: ScriptedPeer, data: Path) -> None:
    answered: list[int] = []
    peer.script = reports(
        lambda request: dataset_of(TransactionUID="1.9", ReferencedSOPSequence=[]), answered, last=True
    )
    with pytest.raises(ArchiveUnavailable):
        connected(peer.url, folder=data).uncommitted(OBJECTS)
    assert answered == [0x0115]


def test_an_archive_without_the_service_is_refused(data: Path) -> None:
    with peer_that({}, CT) as url, pytest.raises(ArchiveRefused, match="offers no storage commitment"):
        connected(url, folder=data).uncommitted(OBJECTS)


def test_nobody_at_the_port_was_not_asked(data: Path, commitments: Commitments) -> None:
    with pytest.raises(ArchiveUnavailable, match="does not answer"):
        connected("dimse://PACS@127.0.0.1:1", folder=data).uncommitted(OBJECTS)
    assert commitments.request_age(TRANSACTION) is None


def test_without_a_place_for_answers_nothing_is_asked() -> None:
    with pytest.raises(ArchiveRefused, match="no folder for the results"):
        connected("dimse://PACS@127.0.0.1:1").uncommitted(OBJECTS)


def test_our_own_receiver_commits_itself_to_what_it_keeps(
    start: Callable[..., Station], owed: PendingReports, data: Path, tmp_path: Path
) -> None:
    station = start(pending_reports=owed)
    archive = connected(f"dimse://ORCHESTRATOR@127.0.0.1:{station.port}", folder=data)
    files = write_instances(tmp_path / "files", 2)
    archive.store(files)
    held = [dcmread(path) for path in files]
    references = [ObjectReference(h.StudyInstanceUID, h.SeriesInstanceUID, h.SOPInstanceUID, CT) for h in held]
    assert archive.uncommitted(references) == frozenset()
    assert archive.uncommitted([*references, OBJECTS[0]]) == {"1.4.0"}
