"""Storage commitment on an association (PS3.4 annex J): requests from senders, and reports from archives."""

from __future__ import annotations

import logging
import time
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from orchestrator.archive.commitment.pending_reports import CommitmentRequest, PendingReports, Reference
from orchestrator.archive.commitment.report import encoding, make_report
from orchestrator.archive.commitment.transactions import REQUEST_COMMITMENT, Commitments, read_result
from orchestrator.archive.protocol.command import Command, Element, Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL_INSTANCE
from orchestrator.archive.protocol.uid import is_uid
from orchestrator.archive.receiver.operations import Refusal, refusal
from orchestrator.archive.spool.spool import Spool
from orchestrator.domain.errors import StorageFull, UnreadableFile
from orchestrator.domain.quiet import quiet

if TYPE_CHECKING:
    from orchestrator.archive.receiver.association import Association

_LARGEST_BYTES = 16 << 20  # some 100,000 references
_log = logging.getLogger(__name__)


class _WholeRequest:
    """Collects the data set of a request in memory."""

    def __init__(self, association: Association, context_id: int) -> None:
        self._association = association
        self._context_id = context_id
        self._encoded = bytearray()

    def write(self, content: memoryview) -> None:
        """Append the next part of the data set.

        Raises Refusal where the data set is too large.
        """
        if len(self._encoded) + len(content) > _LARGEST_BYTES:
            raise Refusal(Status.INVALID_ARGUMENT, f"data set is larger than {_LARGEST_BYTES >> 20} MiB")
        self._encoded += content

    def discard(self) -> None:
        """Discard the data set."""
        self._encoded.clear()

    def _dataset(self) -> Dataset:
        syntax = self._association.contexts[self._context_id].transfer_syntax
        return decode(BytesIO(bytes(self._encoded)), *encoding(syntax))


class RequestCommitment(_WholeRequest):
    """N-ACTION: a sender requests storage commitment; a report follows the answer."""

    def __init__(
        self,
        association: Association,
        context_id: int,
        command: Command,
        spool: Spool,
        pending_reports: PendingReports,
    ) -> None:
        """Start the request.

        Raises Refusal where the N-ACTION is not a request for storage commitment.
        """
        super().__init__(association, context_id)
        self._spool = spool
        self._pending_reports = pending_reports
        self._request: CommitmentRequest | None = None
        if command.text(Element.REQUESTED_SOP_INSTANCE_UID) != PUSH_MODEL_INSTANCE:
            raise Refusal(Status.NO_SUCH_INSTANCE, f"requested instance is not {PUSH_MODEL_INSTANCE}")
        if _number(command, Element.ACTION_TYPE_ID) != REQUEST_COMMITMENT:
            raise Refusal(Status.NO_SUCH_ACTION, f"action type is not {REQUEST_COMMITMENT} (request commitment)")

    def finish(self) -> None:
        """Return when the request is on disk.

        Raises Refusal where the request is invalid or cannot be written to disk.
        """
        try:
            with quiet():
                request = self._read(self._dataset())
        except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
            raise Refusal(Status.INVALID_ARGUMENT, f"request cannot be read ({type(fault).__name__})") from None
        uids = (uid for reference in request.references for uid in (reference.sop_class, reference.sop_uid))
        if not request.references or not all(map(is_uid, (request.transaction_uid, *uids))):
            raise Refusal(Status.INVALID_ARGUMENT, "request has no objects or an invalid UID")
        self._record(request)

    def _read(self, request: Dataset) -> CommitmentRequest:
        sender = self._association.sender
        return CommitmentRequest(
            requester=sender.calling,
            provider=sender.called,
            transaction_uid=str(request.TransactionUID),
            references=tuple(
                Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in request.ReferencedSOPSequence
            ),
            requested_at=time.time(),
            association=sender.association,
        )

    def _record(self, request: CommitmentRequest) -> None:
        try:
            self._spool.check_space()
            self._pending_reports.add(request)
        except (StorageFull, OSError) as fault:
            reason = refusal(fault)
            is_full = reason.status is Status.OUT_OF_RESOURCES  # the status for C-STORE
            raise Refusal(Status.RESOURCE_LIMITATION, reason.comment) if is_full else reason from None
        self._request = request

    def after_answer(self) -> None:
        """Send the report; if this fails, the reporter sends it when the association has ended."""
        request = self._request
        assert request is not None
        try:
            report = make_report(self._spool, request, self._association.sender)
        except OSError as fault:
            _log.error(
                "storage commitment report of transaction %s to %s delayed: the spool cannot be read (%s)",
                request.transaction_uid,
                self._association.sender,
                type(fault).__name__,
            )
            return
        self._association.send_report(
            self._context_id, report, lambda status: self._pending_reports.record_answer(request, status)
        )


class ReceiveReport(_WholeRequest):
    """N-EVENT-REPORT: an archive reports which objects from this host it commits to keep."""

    def __init__(self, association: Association, context_id: int, commitments: Commitments) -> None:
        """Start the report."""
        super().__init__(association, context_id)
        self._commitments = commitments

    def finish(self) -> None:
        """Return when the result is on disk.

        Raises Refusal where the report is invalid or was not requested, OSError.
        """
        try:
            with quiet():
                result = read_result(self._dataset())
        except UnreadableFile as fault:
            raise Refusal(Status.INVALID_ARGUMENT, str(fault)) from None
        except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
            raise Refusal(Status.INVALID_ARGUMENT, f"report cannot be read ({type(fault).__name__})") from None
        if not self._commitments.record(result):
            raise Refusal(Status.INVALID_ARGUMENT, "this host did not request this transaction")

    def after_answer(self) -> None:
        """Do nothing."""


def _number(command: Command, element: Element) -> int:
    try:
        return command.number(element)
    except ValueError as fault:
        raise Refusal(Status.INVALID_ARGUMENT, str(fault)) from None
