"""Reads and writes the PDUs of one connection (PS3.8 section 9.3) with one buffer of bounded size."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from enum import IntEnum

MAXIMUM_PDU_BYTES = 1 << 20
"""The longest PDU that is read: eight times the announced length, and enough for any association request."""

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
    """Reasons of an abort by the service provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6

    def encode(self) -> bytes:
        """Return the A-ABORT PDU of the service provider."""
        return _HEADER.pack(Pdu.ABORT, 4) + bytes([0, 0, 2, self])


class ProtocolFault(Exception):
    """The peer violated the protocol. ``abort``: the reason to send in the A-ABORT."""

    def __init__(self, abort: Abort, text: str) -> None:
        self.abort = abort
        super().__init__(text)


class PduConnection:
    """Reads and writes complete PDUs. Raises TimeoutError where the peer exceeds a time limit."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(256 << 10)

    def read(self, limit_seconds: float) -> tuple[Pdu, memoryview]:
        """Return type and bytes of the next PDU; the bytes are valid until the next call.

        The limit covers the wait and the whole PDU: a peer that sends a byte now and then cannot block a place.
        Raises EOFError where the peer closed the connection, TimeoutError, OSError, ProtocolFault.
        """
        deadline = time.monotonic() + limit_seconds
        self._fill(0, _HEADER.size, deadline)
        kind, length = _HEADER.unpack_from(self._buffer)
        if kind not in _KINDS:
            raise ProtocolFault(Abort.UNRECOGNIZED_PDU, f"unknown PDU type {kind:02X}H")
        if length > MAXIMUM_PDU_BYTES:
            raise ProtocolFault(
                Abort.INVALID_PARAMETER, f"PDU of {length} bytes is longer than the limit of {MAXIMUM_PDU_BYTES}"
            )
        end = _HEADER.size + length
        if end > len(self._buffer):
            self._buffer = self._buffer[: _HEADER.size] + bytes(length)
        self._fill(_HEADER.size, end, deadline)
        return Pdu(kind), memoryview(self._buffer)[:end]

    def write(self, content: bytes, limit_seconds: float) -> None:
        """Send the bytes; return once the operating system has them.

        Raises TimeoutError, OSError.
        """
        self._connection.settimeout(limit_seconds)
        self._connection.sendall(content)

    def _fill(self, start: int, end: int, deadline: float) -> None:
        with memoryview(self._buffer) as view:
            while start < end:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("PDU was not complete in time")
                self._connection.settimeout(remaining)
                count = self._connection.recv_into(view[start:end])
                if count == 0:
                    raise EOFError("peer closed the connection")
                start += count


def fragments(pdu: memoryview) -> Iterator[tuple[int, bool, bool, memoryview]]:
    """Yield (presentation context ID, is command, is last, bytes) of a P-DATA-TF (PS3.8 9.3.5, E.2).

    Raises ProtocolFault.
    """
    offset = _HEADER.size
    while offset < len(pdu):
        if len(pdu) < offset + _ITEM.size:
            raise ProtocolFault(Abort.INVALID_PARAMETER, "presentation data value has no complete header")
        length, context, control = _ITEM.unpack_from(pdu, offset)
        end = offset + 4 + length
        if length < 2 or end > len(pdu):
            raise ProtocolFault(
                Abort.INVALID_PARAMETER, f"presentation data value of {length} bytes does not fit into its PDU"
            )
        yield context, bool(control & 1), bool(control & 2), pdu[offset + _ITEM.size : end]
        offset = end


def message_pdus(context: int, command: bytes, maximum_pdu: int, data_set: bytes = b"") -> bytes:
    """Return the P-DATA-TF PDUs of one message. maximum_pdu: the longest that the peer receives, 0 = any."""
    return _pdus(context, command, maximum_pdu, 0b01) + (
        _pdus(context, data_set, maximum_pdu, 0b00) if data_set else b""
    )


def _pdus(context: int, content: bytes, maximum_pdu: int, control: int) -> bytes:
    """Return the PDUs of a command set or data set. control: message control header without the last-fragment bit."""
    portion = max(maximum_pdu - _ITEM.size, 1) if maximum_pdu else len(content)
    pdus = []
    for start in range(0, len(content), portion):
        part = content[start : start + portion]
        last = 0b10 if start + portion >= len(content) else 0
        item = _ITEM.pack(len(part) + 2, context, control | last) + part
        pdus.append(_HEADER.pack(Pdu.P_DATA, len(item)) + item)
    return b"".join(pdus)
