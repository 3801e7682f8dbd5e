"""The storage commitment report of this host (PS3.4 annex J): success for each object that the spool holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from orchestrator.archive.commitment.pending_reports import CommitmentRequest, Reference
from orchestrator.archive.protocol.command import CommandField, Element, Status
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.spool.spool import Spool, SpooledFile
from orchestrator.domain.errors import UnreadableFile

ALL_KEPT, SOME_FAILED = 1, 2
"""Event Type IDs of the N-EVENT-REPORT (PS3.4 table J.3-2)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """The report of one transaction.

    commitments: the objects that the spool holds. failures: all others, each with its Failure Reason
    (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    commitments: tuple[Reference, ...]
    failures: Mapping[Reference, Status]

    @property
    def event(self) -> int:
        """Event Type ID."""
        return SOME_FAILED if self.failures else ALL_KEPT

    @property
    def values(self) -> Mapping[Element, int | str]:
        """The command set of the N-EVENT-REPORT."""
        return {
            Element.COMMAND_FIELD: CommandField.N_EVENT_REPORT,
            Element.AFFECTED_SOP_CLASS_UID: PUSH_MODEL,
            Element.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
            Element.EVENT_TYPE_ID: self.event,
        }

    def dataset(self) -> Dataset:
        """Return the Event Information (PS3.4 table J.3-2)."""
        information = Dataset()
        information.TransactionUID = self.transaction_uid
        if self.commitments:
            information.ReferencedSOPSequence = [_item(reference) for reference in self.commitments]
        if self.failures:
            information.FailedSOPSequence = [_item(each, reason) for each, reason in self.failures.items()]
        return information

    def encode(self, transfer_syntax: str) -> bytes:
        """Return the encoded Event Information."""
        return encode(self.dataset(), *encoding(transfer_syntax)) or b""


def make_report(spool: Spool, request: CommitmentRequest, requester: object) -> CommitmentReport:
    """Return the report on the objects of a request as the spool holds them now.

    requester: AE title and address, for the log. Raises OSError.
    """
    statuses = _statuses(spool, request.references)
    commitments = tuple(reference for reference, status in statuses.items() if status is Status.SUCCESS)
    failures = {reference: status for reference, status in statuses.items() if status is not Status.SUCCESS}
    _log.info(
        "storage commitment transaction %s of %s: the spool holds %d of %d objects",
        request.transaction_uid,
        requester,
        len(commitments),
        len(statuses),
    )
    return CommitmentReport(request.transaction_uid, commitments, failures)


def _statuses(spool: Spool, references: Sequence[Reference]) -> dict[Reference, Status]:
    """Return SUCCESS for each object in the spool, and a Failure Reason for each other one."""
    files = spool.find({reference.sop_uid for reference in references})
    return {reference: _status(spool, reference, files.get(reference.sop_uid)) for reference in references}


def _status(spool: Spool, reference: Reference, file: SpooledFile | None) -> Status:
    if file is None:
        return Status.NO_SUCH_INSTANCE
    try:
        same = spool.arrival(file).sop_class == reference.sop_class
    except UnreadableFile:
        return Status.PROCESSING_FAILURE
    return Status.SUCCESS if same else Status.CLASS_INSTANCE_CONFLICT


def encoding(transfer_syntax: str) -> tuple[bool, bool]:
    """Return (implicit VR, little endian) of a transfer syntax that storage commitment is accepted in."""
    return transfer_syntax == "1.2.840.10008.1.2", transfer_syntax != "1.2.840.10008.1.2.2"


def _item(reference: Reference, reason: Status | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_uid
    if reason is not None:
        item.FailureReason = int(reason)
    return item
