"""Storage commitment on an association (PS3.4 annex J): being asked as its provider, and being told as its user."""

from __future__ import annotations

import logging
import time
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from orchestrator.archive.commitment.pending_reports import Asked, Owed, Reference
from orchestrator.archive.commitment.report import encoding, report_on
from orchestrator.archive.commitment.transactions import REQUEST_COMMITMENT, Commitments, read_outcome
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


class _Gathering:
    """A request whose data set is read as a whole."""

    def __init__(self, association: Association, context_id: int) -> None:
        self._association = association
        self._context_id = context_id
        self._encoded = bytearray()

    def write(self, content: memoryview) -> None:
        """Take the next part of the data set.

        Raises Refusal where it is larger than any honest one.
        """
        if len(self._encoded) + len(content) > _LARGEST_BYTES:
            raise Refusal(Status.INVALID_ARGUMENT, "the data set is too large")
        self._encoded += content

    def discard(self) -> None:
        """Forget what came."""
        self._encoded.clear()

    def _dataset(self) -> Dataset:
        syntax = self._association.contexts[self._context_id].transfer_syntax
        return decode(BytesIO(bytes(self._encoded)), *encoding(syntax))


class Ask(_Gathering):
    """N-ACTION: a sender asks whether what it sent is kept; the answer is a report that follows."""

    def __init__(self, association: Association, context_id: int, command: Command, spool: Spool, owed: Owed) -> None:
        """Take the request.

        Raises Refusal where it is no request for storage commitment.
        """
        super().__init__(association, context_id)
        self._spool = spool
        self._owed = owed
        self._asked: Asked | None = None
        if command.text(Element.REQUESTED_SOP_INSTANCE_UID) != PUSH_MODEL_INSTANCE:
            raise Refusal(Status.NO_SUCH_INSTANCE, f"the instance to ask is {PUSH_MODEL_INSTANCE}")
        if _number(command, Element.ACTION_TYPE_ID) != REQUEST_COMMITMENT:
            raise Refusal(Status.NO_SUCH_ACTION, "the only action is to request storage commitment")

    def finish(self) -> None:
        """Return when it is durable that a report is owed.

        Raises Refusal where the request cannot be read or names no object, or the disk does not take it.
        """
        try:
            with quiet():
                asked = self._read(self._dataset())
        except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
            raise Refusal(Status.INVALID_ARGUMENT, f"the request cannot be read ({type(fault).__name__})") from None
        named = (uid for reference in asked.references for uid in (reference.sop_class, reference.sop_uid))
        if not asked.references or not all(map(is_uid, (asked.transaction_uid, *named))):
            raise Refusal(Status.INVALID_ARGUMENT, "the request names no object, or something by what is no UID")
        self._keep(asked)

    def _read(self, request: Dataset) -> Asked:
        sender = self._association.sender
        return Asked(
            requester=sender.calling,
            provider=sender.called,
            transaction_uid=str(request.TransactionUID),
            references=tuple(
                Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in request.ReferencedSOPSequence
            ),
            asked_at=time.time(),
            association=sender.association,
        )

    def _keep(self, asked: Asked) -> None:
        try:
            self._spool.check_space()
            self._owed.keep(asked)
        except (StorageFull, OSError) as fault:
            told = refusal(fault)
            full = told.status is Status.OUT_OF_RESOURCES  # what C-STORE calls it
            raise Refusal(Status.RESOURCE_LIMITATION, told.comment) if full else told from None
        self._asked = asked

    def answered(self) -> None:
        """Report what the spool holds; who is not told now is told when the association has ended."""
        asked = self._asked
        assert asked is not None
        try:
            report = report_on(self._spool, asked)
        except OSError as fault:
            _log.error("transaction %s cannot be judged: %s", asked.transaction_uid, type(fault).__name__)
            return
        self._association.tell(self._context_id, report, lambda status: self._owed.answered(asked, status))


class Hear(_Gathering):
    """N-EVENT-REPORT: an archive tells what it keeps of what this host had sent."""

    def __init__(self, association: Association, context_id: int, commitments: Commitments) -> None:
        """Take the report."""
        super().__init__(association, context_id)
        self._commitments = commitments

    def finish(self) -> None:
        """Return when the report lies durable where its question waits.

        Raises Refusal where it cannot be read or nobody asked, OSError.
        """
        try:
            with quiet():
                outcome = read_outcome(self._dataset())
        except UnreadableFile as fault:
            raise Refusal(Status.INVALID_ARGUMENT, str(fault)) from None
        except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
            raise Refusal(Status.INVALID_ARGUMENT, f"the report cannot be read ({type(fault).__name__})") from None
        if not self._commitments.take(outcome):
            raise Refusal(Status.INVALID_ARGUMENT, "nobody here asked for this transaction")

    def answered(self) -> None:
        """Go on."""


def _number(command: Command, element: Element) -> int:
    try:
        return command.number(element)
    except ValueError as fault:
        raise Refusal(Status.INVALID_ARGUMENT, str(fault)) from None
