"""One accepted association: whole messages come out of its PDUs, operations make of them what they ask for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from orchestrator.archive.commitment.report import Report
from orchestrator.archive.protocol.command import (
    NO_DATA_SET,
    RESPONSE,
    Command,
    Element,
    Request,
    Status,
    encode,
    response,
)
from orchestrator.archive.protocol.negotiation import Context
from orchestrator.archive.protocol.pdu import (
    RELEASE_RESPONSE,
    Abort,
    Pdu,
    PduConnection,
    ProtocolFault,
    fragments,
    message_pdus,
)
from orchestrator.archive.protocol.uid import shown
from orchestrator.archive.receiver.operations import Operation, Refusal, Sender, refusal
from orchestrator.domain.errors import StorageFull, UnreadableFile

_COMMAND_SET_BYTES = 64 << 10
_log = logging.getLogger(__name__)


class Services(Protocol):
    """Says what is done with a request."""

    def begin(self, association: Association, context_id: int, command: Command) -> Operation:
        """Return the operation that a request asks for.

        Raises Refusal, StorageFull, OSError.
        """


@dataclass(slots=True)
class _Message:
    """The message that is being received."""

    context: int
    encoded: bytearray = field(default_factory=bytearray)
    command: Command | None = None
    command_field: int = 0
    operation: Operation | None = None
    refusal: Refusal | None = None


class Association:
    """Serves one peer until it releases, aborts, falls silent or the receiver stops."""

    def __init__(
        self,
        connection: PduConnection,
        contexts: Mapping[int, Context],
        services: Services,
        *,
        calling: str,
        called: str,
        maximum_pdu: int,
        idle_seconds: float,
    ) -> None:
        self.id = uuid4().hex
        self.contexts = contexts
        self.sender = Sender(calling, called, self.id)
        self._connection = connection
        self._services = services
        self._maximum_pdu = maximum_pdu
        self._idle_seconds = idle_seconds
        self._told = 0
        self._unanswered: dict[int, Callable[[int], object]] = {}  # by Message ID
        self._message: _Message | None = None
        self._between_messages = threading.Lock()
        self.stopping = False

    @property
    def calling(self) -> str:
        """The peer's AE title."""
        return self.sender.calling

    @property
    def called(self) -> str:
        """Our AE title."""
        return self.sender.called

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
            if context != message.context or context not in self.contexts:
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
            message.command_field = message.command.number(Element.COMMAND_FIELD)
            has_data_set = message.command.has_data_set
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        self._begin(message, message.command)
        if not has_data_set:
            self._finish(message, message.command)

    def _take_data(self, message: _Message, content: memoryview, last: bool) -> None:
        if message.command is None:
            raise ProtocolFault(Abort.UNEXPECTED_PDU, "a data set before its command set")
        if message.operation is not None:
            try:
                message.operation.write(content)
            except (Refusal, StorageFull, OSError) as fault:
                self._fail(message, fault)
        if last:
            self._finish(message, message.command)

    def _begin(self, message: _Message, command: Command) -> None:
        if message.command_field & RESPONSE or message.command_field == Request.C_CANCEL:
            return
        try:
            message.operation = self._services.begin(self, message.context, command)
        except (Refusal, StorageFull, OSError) as fault:
            message.refusal = refusal(fault)

    def _finish(self, message: _Message, command: Command) -> None:
        """Answer the message; what it asks for is done before its answer leaves."""
        if message.operation is not None:
            try:
                message.operation.finish()
            except (Refusal, UnreadableFile, StorageFull, OSError) as fault:
                self._fail(message, fault)
        if message.command_field & RESPONSE:
            self._hear(command)
        elif message.command_field != Request.C_CANCEL:
            self._answer(message, command)
        if message.operation is not None:
            message.operation.answered()
        with self._between_messages:
            self._message = None

    def _fail(self, message: _Message, fault: Exception) -> None:
        assert message.operation is not None
        message.operation.discard()
        message.operation, message.refusal = None, refusal(fault)

    def _answer(self, message: _Message, command: Command) -> None:
        status, comment = Status.SUCCESS, ""
        if message.refusal is not None:
            status, comment = message.refusal.status, message.refusal.comment
            sop_uid = shown(command.text(Element.AFFECTED_SOP_INSTANCE_UID))
            _log.warning("%s from %s is refused with %04XH: %s", sop_uid, self.calling, status, comment)
        try:
            encoded = response(command, status, comment)
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        self._connection.write(message_pdus(message.context, encoded, self._maximum_pdu), self._idle_seconds)

    def tell(self, context_id: int, report: Report, heard: Callable[[int], object]) -> None:
        """Send a report to the peer, between two messages of its own.

        heard: called with the status of its answer, if that comes. Raises TimeoutError, OSError.
        """
        self._told += 1
        self._unanswered[self._told] = heard
        values = {**report.values, Element.MESSAGE_ID: self._told, Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET - 1}
        data_set = report.encoded(self.contexts[context_id].transfer_syntax)
        pdus = message_pdus(context_id, encode(values), self._maximum_pdu, data_set)
        self._connection.write(pdus, self._idle_seconds)

    def _hear(self, command: Command) -> None:
        """Tell of the peer's answer to a report."""
        try:
            number, status = command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO), command.number(Element.STATUS)
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        if heard := self._unanswered.pop(number, None):
            heard(status)

    def _abandon(self) -> None:
        """Leave nothing of a message that did not come to its end."""
        if self._message is not None and self._message.operation is not None:
            self._message.operation.discard()
