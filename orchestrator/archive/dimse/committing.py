"""Storage commitment as a user: the archive is asked, and its answer taken wherever it comes (PS3.4 annex J)."""

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

_ASK_AGAIN_SECONDS = 900.0  # an answer that was lost never comes; most archives answer within minutes
_LOOK_SECONDS = 0.1
_ANSWER_SECONDS = 30.0  # an answer that comes later goes to the receiver


def uncommitted(peer: Peer, commitments: Commitments, references: Sequence[ObjectReference]) -> frozenset[str]:
    """Return the SOP Instance UIDs that the archive does not commit itself to keep.

    The first call asks and waits a while for an answer on the same association. One that comes later, to the
    receiver, is found by the next call: it looks first, and asks again only after 15 minutes of silence.
    Raises ArchiveUnavailable (no answer yet), ArchiveRefused.
    """
    transaction = transaction_uid(peer.name, references)
    outcome = commitments.result(transaction)
    if outcome is None and _is_silent(commitments, transaction):
        outcome = _ask(peer, commitments, transaction, references)
    if outcome is None:
        raise ArchiveUnavailable(
            f"{peer} has not committed itself to {len(references)} objects yet (transaction {transaction}); "
            "it answers to the receiver of this host, which it has to know"
        )
    commitments.forget(transaction)
    return frozenset(reference.sop_uid for reference in references) - outcome.committed


def _is_silent(commitments: Commitments, transaction: str) -> bool:
    asked = commitments.request_age(transaction)
    return asked is None or asked > _ASK_AGAIN_SECONDS


def _ask(
    peer: Peer, commitments: Commitments, transaction: str, references: Sequence[ObjectReference]
) -> CommitmentResult | None:
    """Return the answer that came in time, None where the archive will answer later."""

    def take(event: evt.Event) -> tuple[int, None]:
        try:
            known = commitments.record(read_result(event.event_information))
        except (UnreadableFile, OSError):
            return Status.PROCESSING_FAILURE, None
        return (Status.SUCCESS if known else Status.INVALID_ARGUMENT), None

    commitments.expect(transaction)
    try:
        with peer.association(
            [build_context(PUSH_MODEL)], "storage commitment", handlers=[(evt.EVT_N_EVENT_REPORT, take)]
        ) as association:
            _request(peer, association, transaction, references)
            return _waited(peer, association, commitments, transaction)
    except ArchiveError:  # it was not asked then
        commitments.forget(transaction)
        raise


def _request(peer: Peer, association: Association, transaction: str, references: Sequence[ObjectReference]) -> None:
    answer, _ = association.send_n_action(
        commitment_request(transaction, references), REQUEST_COMMITMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE
    )
    status = peer.status(answer, "request for storage commitment")
    if status not in (SUCCESS, DUPLICATE_TRANSACTION):
        raise ArchiveRefused(f"{peer} answers a request for storage commitment with {status:04X}H")


def _waited(
    peer: Peer, association: Association, commitments: Commitments, transaction: str
) -> CommitmentResult | None:
    """Return the answer, whether it came on this association or to the receiver; None when it takes too long."""
    listen(association)
    deadline = time.monotonic() + min(peer.timeout_seconds, _ANSWER_SECONDS)
    while (outcome := commitments.result(transaction)) is None:
        if time.monotonic() > deadline or not association.is_established:
            break
        time.sleep(_LOOK_SECONDS)
    return outcome
