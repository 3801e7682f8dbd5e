"""A modality as a part of a test: it sends, asks for storage commitment, and takes reports, by pynetdicom."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

from orchestrator.archive.commitment.transactions import commitment_request
from orchestrator.archive.dimse.peer import Turnstile
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.domain.ports import ObjectReference

Reports = list[tuple[int, Dataset]]
"""Event Type ID and Event Information of each report that came."""


@contextmanager
def associated(
    port: int, reports: Reports, *, calling: str = "CT1", answer: int = 0x0000, **more: Any
) -> Iterator[Association]:
    """Give an association for storage and commitment that notes the reports which come on it."""

    def note(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return answer, None

    contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian), build_context(PUSH_MODEL)]
    association = AE(calling).associate(
        "127.0.0.1",
        port,
        contexts=contexts,
        ae_title="ORCHESTRATOR",
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, note)],
        **more,
    )
    assert association.is_established
    opened = association.dul.socket.socket
    try:
        yield association
    finally:
        association.release()
        opened.close()  # pynetdicom leaves it open where the peer is gone


def ask(association: Association, objects: Sequence[tuple[str, str]], transaction: str = "") -> int:
    """Ask for the commitment of (class, instance) and return the status of the answer.

    transaction: a new one where it is empty.
    """
    references = [ObjectReference("1.2", "1.3", sop_uid, sop_class) for sop_class, sop_uid in objects]
    request = commitment_request(transaction or generate_uid(), references)
    turnstile = Turnstile(association)  # or the report's coming could cost the answer
    try:
        status, _ = association.send_n_action(request, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        return int(status.Status)
    finally:
        turnstile.open()


def leave_at_the_report(association: Association, first: Callable[[], object] = lambda: None) -> None:
    """Have the modality be gone as soon as the report comes, without an answer; ``first`` is done before."""

    def leave(event: evt.Event) -> tuple[int, None]:
        first()
        event.assoc.abort()
        return 0x0000, None

    association.bind(evt.EVT_N_EVENT_REPORT, leave)


@contextmanager
def listening(
    title: str,
    reports: Reports,
    port: int,
    *,
    as_user: bool = True,
    tls: ssl.SSLContext | None = None,
    answer: int = 0x0000,
    hear: Callable[[evt.Event], tuple[int, None]] | None = None,
) -> Iterator[None]:
    """Run a modality's own port that takes reports; not ``as_user``: it is no user of storage commitment.

    hear: what is done with a report instead of noting it.
    """

    def note(event: evt.Event) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return answer, None

    entity = AE(title)
    entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=as_user)
    handlers: Any = [(evt.EVT_N_EVENT_REPORT, hear or note)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        yield
    finally:
        server.shutdown()


def promised(report: Dataset) -> set[str]:
    """Return the SOP Instance UIDs that a report says are kept."""
    return {item.ReferencedSOPInstanceUID for item in report.get("ReferencedSOPSequence", ())}
