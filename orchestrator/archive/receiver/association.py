"""One accepted association: assembles messages from PDUs and passes them to operations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from orchestrator.archive.commitment.report import CommitmentReport
from orchestrator.archive.protocol.command import (
    NO_DATA_SET,
    RESPONSE,
    Command,
    CommandField,
    Element,
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
from orchestrator.archive.protocol.uid import printable_uid
from orchestrator.archive.receiver.operations import Operation, Refusal, Sender, refusal
from orchestrator.domain.errors import StorageFull, UnreadableFile

_COMMAND_SET_BYTES = 64 << 10
_log = logging.getLogger(__name__)


class Services(Protocol):
    """Starts the operation of each request."""

    def begin(self, association: Association, context_id: int, command: Command) -> Operation:
        """Return the operation for a request.

        Raises Refusal, StorageFull, OSError.
        """


@dataclass(slots=True)
class _IncomingMessage:
    """The message that is arriving."""

    context: int
    content: bytearray = field(default_factory=bytearray)
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
        address: str,
        maximum_pdu: int,
        idle_seconds: float,
    ) -> None:
        self.id = uuid4().hex
        self.contexts = contexts
        self.sender = Sender(calling, called, self.id, address)
        self._connection = connection
        self._services = services
        self._maximum_pdu = maximum_pdu
        self._idle_seconds = idle_seconds
        self._report_count = 0
        self._unanswered: dict[int, Callable[[int], object]] = {}  # by Message ID
        self._message: _IncomingMessage | None = None
        self._between_messages = threading.Lock()
        self.stopping = False

    @property
    def calling(self) -> str:
        """The peer's AE title."""
        return self.sender.calling

    @property
    def called(self) -> str:
        """The AE title of this host that the peer called."""
        return self.sender.called

    def serve(self) -> bool:
        """Return True when the peer released the association, False when it ended without release.

        Raises EOFError, TimeoutError, OSError, ProtocolFault.
        """
        try:
            while not self.stopping:
                kind, pdu = self._connection.read(self._idle_seconds)
                if kind is Pdu.P_DATA:
                    self._read(pdu)
                elif kind is Pdu.RELEASE_RQ:
                    self._connection.write(RELEASE_RESPONSE, self._idle_seconds)
                    return True
                elif kind is Pdu.ABORT:
                    return False
                else:
                    raise ProtocolFault(Abort.UNEXPECTED_PDU, f"unexpected PDU {kind.name} within an association")
            return False
        finally:
            self._abandon()

    def stop(self) -> bool:
        """Return True where no message is arriving; otherwise the association ends after the answer to the message."""
        with self._between_messages:
            self.stopping = True
            return self._message is None

    def _read(self, pdu: memoryview) -> None:
        for context, is_command, last, content in fragments(pdu):
            with self._between_messages:
                message = self._message = self._message or _IncomingMessage(context)
            if context != message.context or context not in self.contexts:
                raise ProtocolFault(Abort.INVALID_PARAMETER, f"message in wrong presentation context {context}")
            if is_command:
                self._read_command(message, content, last)
            else:
                self._read_data(message, content, last)

    def _read_command(self, message: _IncomingMessage, content: memoryview, last: bool) -> None:
        if message.command is not None or len(message.content) + len(content) > _COMMAND_SET_BYTES:
            raise ProtocolFault(Abort.UNEXPECTED_PDU, "command set is too long, or inside another message")
        message.content += content
        if not last:
            return
        try:
            message.command = Command(bytes(message.content))
            message.command_field = message.command.number(Element.COMMAND_FIELD)
            has_data_set = message.command.has_data_set
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        self._begin(message, message.command)
        if not has_data_set:
            self._finish(message, message.command)

    def _read_data(self, message: _IncomingMessage, content: memoryview, last: bool) -> None:
        if message.command is None:
            raise ProtocolFault(Abort.UNEXPECTED_PDU, "data set arrived before its command set")
        if message.operation is not None:
            try:
                message.operation.write(content)
            except (Refusal, StorageFull, OSError) as fault:
                self._fail(message, fault)
        if last:
            self._finish(message, message.command)

    def _begin(self, message: _IncomingMessage, command: Command) -> None:
        if message.command_field & RESPONSE or message.command_field == CommandField.C_CANCEL:
            return
        try:
            message.operation = self._services.begin(self, message.context, command)
        except (Refusal, StorageFull, OSError) as fault:
            message.refusal = refusal(fault)

    def _finish(self, message: _IncomingMessage, command: Command) -> None:
        """Finish the operation, then answer the message."""
        if message.operation is not None:
            try:
                message.operation.finish()
            except (Refusal, UnreadableFile, StorageFull, OSError) as fault:
                self._fail(message, fault)
        if message.command_field & RESPONSE:
            self._read_answer(command)
        elif message.command_field != CommandField.C_CANCEL:
            self._answer(message, command)
        if message.operation is not None:
            message.operation.after_answer()
        with self._between_messages:
            self._message = None

    def _fail(self, message: _IncomingMessage, fault: Exception) -> None:
        assert message.operation is not None
        message.operation.discard()
        message.operation, message.refusal = None, refusal(fault)

    def _answer(self, message: _IncomingMessage, command: Command) -> None:
        status, comment = Status.SUCCESS, ""
        if message.refusal is not None:
            status, comment = message.refusal.status, message.refusal.comment
            uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID) or command.text(Element.REQUESTED_SOP_INSTANCE_UID)
            request = f"{_request_name(message.command_field)} of {printable_uid(uid)}"
            _log.warning("%s from %s refused with %04XH: %s", request, self.sender, status, comment)
        try:
            answer = response(command, status, comment)
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        self._connection.write(message_pdus(message.context, answer, self._maximum_pdu), self._idle_seconds)

    def send_report(self, context_id: int, report: CommitmentReport, on_answer: Callable[[int], object]) -> None:
        """Send a storage commitment report to the peer, between two messages of the peer.

        on_answer: called with the status of the peer's answer, if it answers. Raises TimeoutError, OSError.
        """
        self._report_count += 1
        message_id = self._report_count
        self._unanswered[message_id] = on_answer
        values = {**report.values, Element.MESSAGE_ID: message_id, Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET - 1}
        data_set = report.encode(self.contexts[context_id].transfer_syntax)
        pdus = message_pdus(context_id, encode(values), self._maximum_pdu, data_set)
        self._connection.write(pdus, self._idle_seconds)

    def _read_answer(self, command: Command) -> None:
        """Pass on the peer's answer to a report."""
        try:
            number, status = command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO), command.number(Element.STATUS)
        except ValueError as fault:
            raise ProtocolFault(Abort.INVALID_PARAMETER, str(fault)) from None
        if on_answer := self._unanswered.pop(number, None):
            on_answer(status)

    def _abandon(self) -> None:
        """Discard a message that is incomplete."""
        if self._message is not None and self._message.operation is not None:
            self._message.operation.discard()


def _request_name(command_field: int) -> str:
    """Return the name of a request for the log, such as C-STORE."""
    try:
        return CommandField(command_field).name.replace("_", "-")
    except ValueError:
        return f"request {command_field:04X}H"
