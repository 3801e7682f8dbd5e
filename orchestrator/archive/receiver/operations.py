"""What a peer may ask for on an association, one class for each request; the association only moves bytes."""

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
    """A request is answered with a failure; the association goes on."""

    def __init__(self, status: Status, comment: str) -> None:
        self.status = status
        self.comment = comment
        super().__init__(comment)


class Operation(Protocol):
    """One request while it comes in and is answered.

    ``write`` and ``finish`` may raise Refusal, UnreadableFile, StorageFull, OSError; the request has failed then.
    """

    def write(self, content: memoryview) -> None:
        """Take the next part of the request's data set."""

    def finish(self) -> None:
        """Do what is asked; success is answered when this returns."""

    def answered(self) -> None:
        """Go on, after success was answered; raises only what ends the association."""

    def discard(self) -> None:
        """Leave nothing of a request that came to no good end."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks: the AE titles of both sides and the name of the association."""

    calling: str
    called: str
    association: str


class Echo:
    """C-ECHO: being answered is all."""

    def write(self, content: memoryview) -> None:
        """Take what no C-ECHO has and no harm comes of."""

    def finish(self) -> None:
        """Return at once."""

    def answered(self) -> None:
        """Go on."""

    def discard(self) -> None:
        """Have nothing to leave."""


class Store:
    """C-STORE: an instance goes into the spool as it comes and is durable before it is acknowledged."""

    def __init__(
        self, spool: Spool, sender: Sender, context: Context, command: Command, tell: Callable[[Arrival], object]
    ) -> None:
        """Make a place for the instance.

        Raises Refusal, StorageFull, OSError.
        """
        self._incoming = spool.receive(_origin(sender, context, command))
        self._tell = tell
        self._arrival: Arrival | None = None

    def write(self, content: memoryview) -> None:
        """Take the next part of the data set."""
        self._incoming.write(content)

    def finish(self) -> None:
        """Return when the instance is durable."""
        self._arrival = self._incoming.file()

    def answered(self) -> None:
        """Tell of the instance."""
        assert self._arrival is not None
        try:
            self._tell(self._arrival)
        except Exception:  # noqa: BLE001  # the instance is durable and acknowledged, whatever an observer makes of it
            _log.exception("the observer of arrivals failed on %s", self._arrival.sop_uid)

    def discard(self) -> None:
        """Leave nothing of the instance."""
        self._incoming.discard()


def refusal(fault: Exception) -> Refusal:
    """Return what a peer is told about the fault: a status and a comment without patient data."""
    match fault:
        case Refusal():
            return fault
        case StorageFull():
            return Refusal(Status.OUT_OF_RESOURCES, "the disk is full")
        case Mismatch():
            return Refusal(Status.DATA_SET_DOES_NOT_MATCH, str(fault))
        case UnreadableFile():
            return Refusal(Status.CANNOT_UNDERSTAND, str(fault))
        case OSError() if fault.errno in _NO_SPACE:
            return Refusal(Status.OUT_OF_RESOURCES, "the disk is full")
        case _:
            return Refusal(Status.PROCESSING_FAILURE, f"{type(fault).__name__} while filing")


def _origin(sender: Sender, context: Context, command: Command) -> Origin:
    sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID)
    sop_uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
    if sop_class != context.abstract_syntax:
        raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, f"this context is for {context.abstract_syntax}")
    if not is_uid(sop_uid):
        raise Refusal(Status.INVALID_SOP_INSTANCE, "the Affected SOP Instance UID is no UID")
    return Origin(sop_class, sop_uid, context.transfer_syntax, sender.calling, sender.called, sender.association)
