"""Storage commitment as its provider (PS3.4 annex J): what the spool keeps is promised, the rest is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from orchestrator.archive.command import Command, Element, Request, Status
from orchestrator.archive.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST_COMMITMENT,
    Commitments,
    read_outcome,
)
from orchestrator.archive.operation import Refusal, refusal
from orchestrator.archive.owed import Asked, Owed, Reference
from orchestrator.archive.spool import Spool, SpooledFile
from orchestrator.archive.uid import is_uid
from orchestrator.domain.errors import StorageFull, UnreadableFile
from orchestrator.domain.quiet import quiet

if TYPE_CHECKING:
    from orchestrator.archive.association import Association

ALL_KEPT, SOME_FAILED = 1, 2
"""Event Type IDs of the N-EVENT-REPORT (PS3.4 table J.3-2)."""
_LARGEST_BYTES = 16 << 20  # some 100,000 references
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a requester is told of its transaction.

    failed: the objects that are not kept, each with its Failure Reason (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    kept: tuple[Reference, ...]
    failed: Mapping[Reference, Status]

    @property
    def event(self) -> int:
        """Event Type ID."""
        return SOME_FAILED if self.failed else ALL_KEPT

    @property
    def values(self) -> Mapping[Element, int | str]:
        """What the command set of the N-EVENT-REPORT holds."""
        return {
            Element.COMMAND_FIELD: Request.N_EVENT_REPORT,
            Element.AFFECTED_SOP_CLASS_UID: PUSH_MODEL,
            Element.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
            Element.EVENT_TYPE_ID: self.event,
        }

    def dataset(self) -> Dataset:
        """Return the Event Information (PS3.4 table J.3-2)."""
        information = Dataset()
        information.TransactionUID = self.transaction_uid
        if self.kept:
            information.ReferencedSOPSequence = [_item(reference) for reference in self.kept]
        if self.failed:
            information.FailedSOPSequence = [_item(each, reason) for each, reason in self.failed.items()]
        return information

    def encoded(self, transfer_syntax: str) -> bytes:
        """Return the Event Information as it goes over the network."""
        return encode(self.dataset(), *_encoding(transfer_syntax)) or b""


def report_on(spool: Spool, asked: Asked) -> Report:
    """Return what the spool holds now of that which was asked for.

    Raises OSError.
    """
    verdicts = _judge(spool, asked.references)
    kept = tuple(reference for reference, verdict in verdicts.items() if verdict is Status.SUCCESS)
    failed = {reference: verdict for reference, verdict in verdicts.items() if verdict is not Status.SUCCESS}
    _log.info("%s is promised %d of %d objects", asked.requester, len(kept), len(verdicts))
    return Report(asked.transaction_uid, kept, failed)


def _judge(spool: Spool, references: Sequence[Reference]) -> dict[Reference, Status]:
    """Return SUCCESS for each object that lies in the spool, and why not for the others."""
    found = spool.find({reference.sop_uid for reference in references})
    return {reference: _verdict(spool, reference, found.get(reference.sop_uid)) for reference in references}


def _verdict(spool: Spool, reference: Reference, file: SpooledFile | None) -> Status:
    if file is None:
        return Status.NO_SUCH_INSTANCE
    try:
        same = spool.arrival(file).sop_class == reference.sop_class
    except UnreadableFile:
        return Status.PROCESSING_FAILURE
    return Status.SUCCESS if same else Status.CLASS_INSTANCE_CONFLICT


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
        encoding = _encoding(self._association.contexts[self._context_id].transfer_syntax)
        return decode(BytesIO(bytes(self._encoded)), *encoding)


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


def _encoding(transfer_syntax: str) -> tuple[bool, bool]:
    """Return (implicit VR, little endian) of the transfer syntaxes that commitment is accepted in."""
    return transfer_syntax == "1.2.840.10008.1.2", transfer_syntax != "1.2.840.10008.1.2.2"


def _number(command: Command, element: Element) -> int:
    try:
        return command.number(element)
    except ValueError as fault:
        raise Refusal(Status.INVALID_ARGUMENT, str(fault)) from None


def _item(reference: Reference, reason: Status | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_uid
    if reason is not None:
        item.FailureReason = int(reason)
    return item
