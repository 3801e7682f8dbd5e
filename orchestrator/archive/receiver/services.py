"""What this host offers on an association, by the request's Command Field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.archive.commitment.pending_reports import Owed
from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.protocol.command import Command, Element, Request, Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL
from orchestrator.archive.receiver.commitment import Ask, Hear
from orchestrator.archive.receiver.operations import Echo, Operation, Refusal, Store
from orchestrator.archive.spool.arrival import Arrival
from orchestrator.archive.spool.spool import Spool

if TYPE_CHECKING:
    from orchestrator.archive.receiver.association import Association


class Offered:
    """Verification, Storage, and Storage Commitment on both of its sides.

    promises: where it is kept who is to be told what is kept here; None where nobody is.
    commitments: where archives' reports go; None where nobody waits for any.
    """

    def __init__(
        self,
        spool: Spool,
        tell: Callable[[Arrival], object],
        *,
        promises: Owed | None = None,
        commitments: Commitments | None = None,
    ) -> None:
        self._spool = spool
        self._tell = tell
        self._promises = promises
        self._commitments = commitments

    def begin(self, association: Association, context_id: int, command: Command) -> Operation:
        """Return the operation that a request asks for.

        Raises Refusal, StorageFull, OSError.
        """
        field = command.number(Element.COMMAND_FIELD)
        context = association.contexts[context_id]
        commitment = context.abstract_syntax == PUSH_MODEL
        if field == Request.C_ECHO:
            return Echo()
        if field == Request.C_STORE and not commitment:
            return Store(self._spool, association.sender, context, command, self._tell)
        if field == Request.N_ACTION and commitment:
            if self._promises is None:
                raise Refusal(Status.UNRECOGNIZED_OPERATION, "nothing is promised here (receiver.commitment)")
            return Ask(association, context_id, command, self._spool, self._promises)
        if field == Request.N_EVENT_REPORT and commitment and self._commitments is not None:
            return Hear(association, context_id, self._commitments)
        raise Refusal(Status.UNRECOGNIZED_OPERATION, "this operation is not offered here")
