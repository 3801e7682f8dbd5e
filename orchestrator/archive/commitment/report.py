"""The report of storage commitment (PS3.4 annex J): what the spool keeps is promised, the rest is not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from orchestrator.archive.commitment.pending_reports import Asked, Reference
from orchestrator.archive.protocol.command import Element, Request, Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.spool.spool import Spool, SpooledFile
from orchestrator.domain.errors import UnreadableFile

ALL_KEPT, SOME_FAILED = 1, 2
"""Event Type IDs of the N-EVENT-REPORT (PS3.4 table J.3-2)."""
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
        return encode(self.dataset(), *encoding(transfer_syntax)) or b""


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


def encoding(transfer_syntax: str) -> tuple[bool, bool]:
    """Return (implicit VR, little endian) of the transfer syntaxes that commitment is accepted in."""
    return transfer_syntax == "1.2.840.10008.1.2", transfer_syntax != "1.2.840.10008.1.2.2"


def _item(reference: Reference, reason: Status | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_uid
    if reason is not None:
        item.FailureReason = int(reason)
    return item
