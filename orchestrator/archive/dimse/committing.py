"""Storage commitment as SCU (PS3.4 annex J): sends the request, and waits for the report of the archive."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pynetdicom import build_context, evt
from pynetdicom.association import Association

from orchestrator.archive.commitment.transactions import (
    DUPLICATE_TRANSACTION,
    REQUEST_COMMITMENT,
    CommitmentResult,
    Commitments,
    commitment_request,
    read_result,
    transaction_uid,
)
from orchestrator.archive.dimse.peer import SUCCESS, Peer, listen
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import ObjectReference

_REPEAT_SECONDS = 900.0  # most archives report within minutes; a lost report never comes
_POLL_SECONDS = 0.1
_REPORT_SECONDS = 30.0  # a later report comes to the receiver


def uncommitted(peer: Peer, commitments: Commitments, references: Sequence[ObjectReference]) -> frozenset[str]:
    """Return the SOP Instance UIDs that the archive does not commit to keep.

    The first call sends the request and waits some seconds for the report on the same association. A later report
    comes to the receiver, and the next call finds it. The request is repeated only after 15 minutes without a report.
    Raises ArchiveUnavailable (no report yet), ArchiveRefused.
    """
    transaction = transaction_uid(peer.name, references)
    result = commitments.result(transaction)
    if result is None and _is_request_due(commitments, transaction):
        result = _request_and_wait(peer, commitments, transaction, references)
    if result is None:
        objects = "1 object" if len(references) == 1 else f"{len(references)} objects"
        raise ArchiveUnavailable(
            f"{peer} has not committed itself to {objects} yet (transaction {transaction}); "
            "it reports to the receiver of this host, whose address must be set in the archive"
        )
    commitments.forget(transaction)
    return frozenset(reference.sop_uid for reference in references) - result.committed


def _is_request_due(commitments: Commitments, transaction: str) -> bool:
    age = commitments.request_age(transaction)
    return age is None or age > _REPEAT_SECONDS


def _request_and_wait(
    peer: Peer, commitments: Commitments, transaction: str, references: Sequence[ObjectReference]
) -> CommitmentResult | None:
    """Return the result that came in time, None where the archive will report later."""

    def record(event: evt.Event) -> tuple[int, None]:
        try:
            is_open = commitments.record(read_result(event.event_information))
        except (UnreadableFile, OSError):
            return Status.PROCESSING_FAILURE, None
        return (Status.SUCCESS if is_open else Status.INVALID_ARGUMENT), None

    commitments.expect(transaction)
    try:
        with peer.association(
            [build_context(PUSH_MODEL)], "storage commitment", handlers=[(evt.EVT_N_EVENT_REPORT, record)]
        ) as association:
            _request(peer, association, transaction, references)
            return _wait(peer, association, commitments, transaction)
    except ArchiveError:  # the archive has no request then
        commitments.forget(transaction)
        raise


def _request(peer: Peer, association: Association, transaction: str, references: Sequence[ObjectReference]) -> None:
    answer, _ = association.send_n_action(
        commitment_request(transaction, references), REQUEST_COMMITMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE
    )
    status = peer.status(answer, "request for storage commitment")
    if status not in (SUCCESS, DUPLICATE_TRANSACTION):
        raise ArchiveRefused(f"{peer} answers a request for storage commitment with {status:04X}H")


def _wait(peer: Peer, association: Association, commitments: Commitments, transaction: str) -> CommitmentResult | None:
    """Return the result, reported on this association or to the receiver; None where it takes too long."""
    listen(association)
    deadline = time.monotonic() + min(peer.timeout_seconds, _REPORT_SECONDS)
    while (result := commitments.result(transaction)) is None:
        if time.monotonic() > deadline or not association.is_established:
            break
        time.sleep(_POLL_SECONDS)
    return result
