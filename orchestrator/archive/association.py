"""One accepted association: C-STORE and C-ECHO as Service Class Provider, straight into the spool."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from orchestrator.archive.arrival import Arrival
from orchestrator.archive.command import Command, Element, Request, Status, response
from orchestrator.archive.negotiation import Context
from orchestrator.archive.pdu import (
    RELEASE_RESPONSE,
    Abort,
    Pdu,
    PduConnection,
    ProtocolFault,
    command_pdus,
    fragments,
)
from orchestrator.archive.spool import Incoming, Mismatch, Origin, Spool
from orchestrator.archive.uid import is_uid, shown
from orchestrator.domain.errors import StorageFull, UnreadableFile

_COMMAND_SET_BYTES = 64 << 10
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_log = logging.getLogger(__name__)


class Refusal(Exception):
    """A request is answered with a failure; the association goes on."""

    def __init__(self, status: Status, comment: str) -> None:
        self.status = status
        self.comment = comment
        super().__init__(comment)


@dataclass(slots=True)
class _Message:
    """The message that is being received."""

    context: int
    encoded: bytearray = field(default_factory=bytearray)
    command: Command | None = None
    incoming: Incoming | None = None
    refusal: Refusal | None = None


class Association:
    """Serves one peer until it releases, aborts, falls silent or the receiver stops."""

    def __init__(
        self,
        connection: PduConnection,
        contexts: Mapping[int, Context],
        spool: Spool,
        *,
        calling: str,
        called: str,
        maximum_pdu: int,
        idle_seconds: float,
        on_stored: Callable[[Arrival], object],
    ) -> None:
        self.id = uuid4().hex
        self.calling = calling
        self.called = called
        self._connection = connection
        self._contexts = contexts
        self._spool = spool
        self._maximum_pdu = maximum_pdu
        self._idle_seconds = idle_seconds
        self._on_stored = on_stored
        self._message: _Message | None = None
        self._between_messages = threading.Lock()
        self.stopping = False

    def serve(self) -> bool:
        """Return True when the peer released the association, False when it ended in any other way.

        Raises EOFError, TimeoutError, OSError, ProtocolFault.
        """
        try:
            while not self.stopping:
                kind, pdu = self._connection.read(self._idle_seconds)
                if kind is Pdu.P_DATA:
                    self._take(pdu)
                elif kind is Pdu.RELEASE_RQ:
                    self._connection.write(RELEASE_RESPONSE, self._idle_seconds)
                    return True
                elif kind is Pdu.ABORT:
                    return False
                else:
                    raise ProtocolFault(Abort.UNEXPECTED_PDU, f"a PDU {kind.name} within an association")
            return False
        finally:
            self._abandon()

    def stop(self) -> bool:
        """Return True where no message is in flight; where one is, the association ends after its answer."""
        with self._between_messages:
            self.stopping = True
            return self._message is None

    def _take(self, pdu: memoryview) -> None:
        for context, is_command, last, content in fragments(pdu):
            with self._between_messages:
                message = self._message = self._message or _Message(context)
            if context != message.context or context not in self._contexts:
                raise ProtocolFault(Abort.INVALID_PARAMETER, f"a message in presentation context {context}")
            if is_command:
                self._take_command(message, content, last)
            else:
                self._take_data(message, content, last)

    def _take_command(self, message: _Message, content: memoryview, last: bool) -> None:
        if message.command is not None or len(message.encoded) + len(content) > _COMMAND_SET_BYTES:
            raise ProtocolFault(Abort.UNEXPECTED_PDU, "a command set that is too long or within another message")
        message.encoded += content
        if not last:
            return
        try:
            message.command = Command(bytes(message.encoded))
            has_data_set = message.command.has_data_set
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        self._begin(message, message.command)
        if not has_data_set:
            self._finish(message, message.command)

    def _take_data(self, message: _Message, content: memoryview, last: bool) -> None:
        if message.command is None:
            raise ProtocolFault(Abort.UNEXPECTED_PDU, "a data set before its command set")
        if message.incoming is not None:
            try:
                message.incoming.write(content)
            except (StorageFull, OSError) as fault:
                message.incoming.discard()
                message.incoming, message.refusal = None, _refusal(fault)
        if last:
            self._finish(message, message.command)

    def _begin(self, message: _Message, command: Command) -> None:
        try:
            if self._field(command) == Request.C_STORE:
                message.incoming = self._spool.receive(self._origin(message.context, command))
            elif self._field(command) not in (Request.C_ECHO, Request.C_CANCEL):
                raise Refusal(Status.UNRECOGNIZED_OPERATION, "only C-STORE and C-ECHO are offered here")
        except (Refusal, StorageFull, OSError) as fault:
            message.refusal = _refusal(fault)

    def _origin(self, context: int, command: Command) -> Origin:
        accepted = self._contexts[context]
        sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID)
        sop_uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        if sop_class != accepted.abstract_syntax:
            raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, f"context {context} is for {accepted.abstract_syntax}")
        if not is_uid(sop_uid):
            raise Refusal(Status.INVALID_SOP_INSTANCE, "the Affected SOP Instance UID is no UID")
        return Origin(sop_class, sop_uid, accepted.transfer_syntax, self.calling, self.called, self.id)

    def _finish(self, message: _Message, command: Command) -> None:
        """Answer the message; an instance is durable before its answer leaves."""
        arrival = self._file(message)
        if self._field(command) != Request.C_CANCEL:
            self._answer(message, command)
        if arrival is not None:
            self._tell(arrival)
        with self._between_messages:
            self._message = None

    def _file(self, message: _Message) -> Arrival | None:
        if message.incoming is None:
            return None
        incoming, message.incoming = message.incoming, None
        try:
            return incoming.file()
        except (UnreadableFile, StorageFull, OSError) as fault:
            message.refusal = _refusal(fault)
            return None

    def _answer(self, message: _Message, command: Command) -> None:
        status, comment = Status.SUCCESS, ""
        if message.refusal is not None:
            status, comment = message.refusal.status, message.refusal.comment
            sop_uid = shown(command.text(Element.AFFECTED_SOP_INSTANCE_UID))
            _log.warning("%s from %s is refused with %04XH: %s", sop_uid, self.calling, status, comment)
        encoded = response(command, status, comment)
        self._connection.write(command_pdus(message.context, encoded, self._maximum_pdu), self._idle_seconds)

    def _tell(self, arrival: Arrival) -> None:
        try:
            self._on_stored(arrival)
        except Exception:  # noqa: BLE001  # the instance is durable and acknowledged, whatever an observer makes of it
            _log.exception("the observer of arrivals failed on %s", arrival.sop_uid)

    def _abandon(self) -> None:
        """Leave nothing of a message that did not come to its end."""
        if self._message is not None and self._message.incoming is not None:
            self._message.incoming.discard()

    @staticmethod
    def _field(command: Command) -> int:
        try:
            return command.number(Element.COMMAND_FIELD)
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None


def _refusal(fault: Exception) -> Refusal:
    """Return what a peer is told about the fault: a C-STORE status and a comment without patient data."""
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
