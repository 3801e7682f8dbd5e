"""The operations of an association, one class for each DIMSE request; the association passes the bytes."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from orchestrator.archive.protocol.command import Command, Element, Status
from orchestrator.archive.protocol.negotiation import Context
from orchestrator.archive.protocol.uid import is_uid
from orchestrator.archive.spool.arrival import Arrival
from orchestrator.archive.spool.spool import Mismatch, Origin, Spool
from orchestrator.domain.errors import StorageFull, UnreadableFile

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_log = logging.getLogger(__name__)


class Refusal(Exception):
    """The request is answered with a failure status; the association stays open."""

    def __init__(self, status: Status, comment: str) -> None:
        self.status = status
        self.comment = comment
        super().__init__(comment)


class Operation(Protocol):
    """One request, from its first byte until after its answer.

    ``write`` and ``finish`` may raise Refusal, UnreadableFile, StorageFull, OSError; then the request has failed.
    """

    def write(self, content: memoryview) -> None:
        """Process the next part of the request's data set."""

    def finish(self) -> None:
        """Perform the request; the association answers with success when this returns."""

    def after_answer(self) -> None:
        """Do what follows a successful answer; an exception ends the association."""

    def discard(self) -> None:
        """Discard a failed request."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The peer of an association. calling, called: AE titles. address: the peer's IP address."""

    calling: str
    called: str
    association: str
    address: str

    def __str__(self) -> str:
        return f"{self.calling} at {self.address}"


class Echo:
    """C-ECHO: only the answer matters."""

    def write(self, content: memoryview) -> None:
        """Ignore a data set, which a C-ECHO should not have."""

    def finish(self) -> None:
        """Do nothing."""

    def after_answer(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""


class Store:
    """C-STORE: writes an instance to the spool while it arrives; it is durable before it is acknowledged."""

    def __init__(
        self, spool: Spool, sender: Sender, context: Context, command: Command, notify: Callable[[Arrival], object]
    ) -> None:
        """Open a file in the spool for the instance.

        Raises Refusal, StorageFull, OSError.
        """
        self._incoming = spool.receive(_origin(sender, context, command))
        self._sender = sender
        self._notify = notify
        self._arrival: Arrival | None = None

    def write(self, content: memoryview) -> None:
        """Write the next part of the data set."""
        self._incoming.write(content)

    def finish(self) -> None:
        """Return when the instance is durable."""
        self._arrival = self._incoming.file()

    def after_answer(self) -> None:
        """Notify the engine of the instance."""
        assert self._arrival is not None
        try:
            self._notify(self._arrival)
        except Exception:  # noqa: BLE001  # the instance is durable and acknowledged already
            _log.exception("notification of instance %s from %s failed", self._arrival.sop_uid, self._sender)

    def discard(self) -> None:
        """Remove the incomplete instance."""
        self._incoming.discard()


def refusal(fault: Exception) -> Refusal:
    """Return the status and comment to answer for a fault; the comment has no patient data."""
    match fault:
        case Refusal():
            return fault
        case StorageFull():
            return Refusal(Status.OUT_OF_RESOURCES, "disk is full")
        case Mismatch():
            return Refusal(Status.DATA_SET_DOES_NOT_MATCH, str(fault))
        case UnreadableFile():
            return Refusal(Status.CANNOT_UNDERSTAND, str(fault))
        case OSError() if fault.errno in _NO_SPACE:
            return Refusal(Status.OUT_OF_RESOURCES, "disk is full")
        case _:
            return Refusal(Status.PROCESSING_FAILURE, f"instance cannot be written to disk ({type(fault).__name__})")


def _origin(sender: Sender, context: Context, command: Command) -> Origin:
    sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID)
    sop_uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
    if sop_class != context.abstract_syntax:
        raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, f"context is for class {context.abstract_syntax}")
    if not is_uid(sop_uid):
        raise Refusal(Status.INVALID_SOP_INSTANCE, "Affected SOP Instance UID is invalid")
    return Origin(sop_class, sop_uid, context.transfer_syntax, sender.calling, sender.called, sender.association)
