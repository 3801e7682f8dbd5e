"""PDUs on one connection (PS3.8 section 9.3), read into one bounded buffer and never longer than it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from enum import IntEnum

MAXIMUM_PDU_BYTES = 1 << 20
"""The longest PDU that is read: eight times what we ask for, and room for any association request."""

_HEADER = struct.Struct(">BxI")
_ITEM = struct.Struct(">IBB")


class Pdu(IntEnum):
    """PDU types."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


_KINDS = frozenset(Pdu)
RELEASE_RESPONSE = _HEADER.pack(Pdu.RELEASE_RP, 4) + bytes(4)


class Abort(IntEnum):
    """Why the provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6

    def encode(self) -> bytes:
        """Return the A-ABORT PDU, from the service provider."""
        return _HEADER.pack(Pdu.ABORT, 4) + bytes([0, 0, 2, self])


class ProtocolFault(Exception):
    """The peer sent what the protocol does not allow; ``abort`` is what it is told."""

    def __init__(self, abort: Abort, text: str) -> None:
        self.abort = abort
        super().__init__(text)


class PduConnection:
    """Reads and writes whole PDUs; a peer that is silent or too slow for a limit raises TimeoutError."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(256 << 10)

    def read(self, limit_seconds: float) -> tuple[Pdu, memoryview]:
        """Return type and whole bytes of the next PDU, valid until the next call.

        The limit counts for the wait and for the PDU, so that a byte now and then does not hold a place.
        Raises EOFError where the peer is gone, TimeoutError, OSError, ProtocolFault.
        """
        deadline = time.monotonic() + limit_seconds
        self._fill(0, _HEADER.size, deadline)
        kind, length = _HEADER.unpack_from(self._buffer)
        if kind not in _KINDS:
            raise ProtocolFault(Abort.UNRECOGNIZED_PDU, f"a PDU of type {kind:02X}H")
        if length > MAXIMUM_PDU_BYTES:
            raise ProtocolFault(Abort.INVALID_PARAMETER, f"a PDU of {length} bytes; {MAXIMUM_PDU_BYTES} is the limit")
        end = _HEADER.size + length
        if end > len(self._buffer):
            self._buffer = self._buffer[: _HEADER.size] + bytes(length)
        self._fill(_HEADER.size, end, deadline)
        return Pdu(kind), memoryview(self._buffer)[:end]

    def write(self, encoded: bytes, limit_seconds: float) -> None:
        """Return when the bytes are handed to the network.

        Raises TimeoutError, OSError.
        """
        self._connection.settimeout(limit_seconds)
        self._connection.sendall(encoded)

    def _fill(self, start: int, end: int, deadline: float) -> None:
        with memoryview(self._buffer) as view:
            while start < end:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("the PDU is not complete in time")
                self._connection.settimeout(remaining)
                count = self._connection.recv_into(view[start:end])
                if count == 0:
                    raise EOFError("the peer closed the connection")
                start += count


def fragments(pdu: memoryview) -> Iterator[tuple[int, bool, bool, memoryview]]:
    """Yield (presentation context ID, is command, is last, bytes) of a P-DATA-TF (PS3.8 9.3.5, E.2).

    Raises ProtocolFault.
    """
    offset = _HEADER.size
    while offset < len(pdu):
        if len(pdu) < offset + _ITEM.size:
            raise ProtocolFault(Abort.INVALID_PARAMETER, "a presentation data value without its header")
        length, context, control = _ITEM.unpack_from(pdu, offset)
        end = offset + 4 + length
        if length < 2 or end > len(pdu):
            raise ProtocolFault(Abort.INVALID_PARAMETER, f"a presentation data value of {length} bytes beyond its PDU")
        yield context, bool(control & 1), bool(control & 2), pdu[offset + _ITEM.size : end]
        offset = end


def message_pdus(context: int, command: bytes, maximum_pdu: int, data_set: bytes = b"") -> bytes:
    """Return the P-DATA-TF PDUs of one message, each no longer than the peer takes (0 = any)."""
    return _pdus(context, command, maximum_pdu, 0b01) + (
        _pdus(context, data_set, maximum_pdu, 0b00) if data_set else b""
    )


def _pdus(context: int, content: bytes, maximum_pdu: int, control: int) -> bytes:
    """Return the PDUs of one part. control: message control header without its bit for the last fragment."""
    portion = max(maximum_pdu - _ITEM.size, 1) if maximum_pdu else len(content)
    pdus = []
    for start in range(0, len(content), portion):
        part = content[start : start + portion]
        last = 0b10 if start + portion >= len(content) else 0
        item = _ITEM.pack(len(part) + 2, context, control | last) + part
        pdus.append(_HEADER.pack(Pdu.P_DATA, len(item)) + item)
    return b"".join(pdus)
