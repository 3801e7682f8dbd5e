"""Starts the operation for a request, by its Command Field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.archive.commitment.pending_reports import PendingReports
from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.protocol.command import Command, CommandField, Element, Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL
from orchestrator.archive.receiver.commitment import ReceiveReport, RequestCommitment
from orchestrator.archive.receiver.operations import Echo, Operation, Refusal, Store
from orchestrator.archive.spool.arrival import Arrival
from orchestrator.archive.spool.spool import Spool

if TYPE_CHECKING:
    from orchestrator.archive.receiver.association import Association


class ReceiverServices:
    """Verification, Storage, and Storage Commitment as provider and as user.

    pending_reports: None = requests for storage commitment are refused.
    commitments: for results that archives report; None = their reports are refused.
    """

    def __init__(
        self,
        spool: Spool,
        notify: Callable[[Arrival], object],
        *,
        pending_reports: PendingReports | None = None,
        commitments: Commitments | None = None,
    ) -> None:
        self._spool = spool
        self._notify = notify
        self._pending_reports = pending_reports
        self._commitments = commitments

    def begin(self, association: Association, context_id: int, command: Command) -> Operation:
        """Return the operation for a request.

        Raises Refusal, StorageFull, OSError.
        """
        field = command.number(Element.COMMAND_FIELD)
        context = association.contexts[context_id]
        commitment = context.abstract_syntax == PUSH_MODEL
        if field == CommandField.C_ECHO:
            return Echo()
        if field == CommandField.C_STORE and not commitment:
            return Store(self._spool, association.sender, context, command, self._notify)
        if field == CommandField.N_ACTION and commitment:
            if self._pending_reports is None:
                raise Refusal(Status.UNRECOGNIZED_OPERATION, "storage commitment is off (receiver.commitment)")
            return RequestCommitment(association, context_id, command, self._spool, self._pending_reports)
        if field == CommandField.N_EVENT_REPORT and commitment and self._commitments is not None:
            return ReceiveReport(association, context_id, self._commitments)
        raise Refusal(Status.UNRECOGNIZED_OPERATION, "this host does not offer this operation")
