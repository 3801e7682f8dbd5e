"""Command sets of DIMSE messages (PS3.7 6.3.1 and E.1): Implicit VR Little Endian, group 0000 only."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

NO_DATA_SET = 0x0101
RESPONSE = 0x8000
"""The bit that makes a request's Command Field its response's."""


class Element(IntEnum):
    """Element numbers of group 0000 that this module reads or writes."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008


class CommandField(IntEnum):
    """Command Fields of the requests that the receiver distinguishes."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


class Status(IntEnum):
    """Statuses of PS3.7 annex C and of the Storage Service Class (PS3.4 B.2.3).

    They are the Failure Reasons of storage commitment (PS3.3 C.14) and of STOW-RS (PS3.18 table I.2-2) too.
    """

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    INVALID_ARGUMENT = 0x0115
    INVALID_SOP_INSTANCE = 0x0117
    CLASS_INSTANCE_CONFLICT = 0x0119
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


_AFFECTED = {
    Element.AFFECTED_SOP_CLASS_UID: (Element.AFFECTED_SOP_CLASS_UID, Element.REQUESTED_SOP_CLASS_UID),
    Element.AFFECTED_SOP_INSTANCE_UID: (Element.AFFECTED_SOP_INSTANCE_UID, Element.REQUESTED_SOP_INSTANCE_UID),
}
"""Element of a response -> elements of its request that may hold the same value."""


class Command:
    """A received command set; raises ValueError where it cannot be parsed."""

    def __init__(self, content: bytes) -> None:
        self._values: dict[int, bytes] = {}
        offset = 0
        while offset < len(content):
            if len(content) < offset + 8:
                raise ValueError("command set ends within an element")
            group, number, length = struct.unpack_from("<HHI", content, offset)
            value = content[offset + 8 : offset + 8 + length]
            if group != 0 or len(value) != length:
                raise ValueError(f"command set has invalid element ({group:04X},{number:04X}) of {length} bytes")
            self._values[number] = value
            offset += 8 + length

    def number(self, element: Element) -> int:
        """Return the value of a US element.

        Raises ValueError where it is missing.
        """
        value = self._values.get(element, b"")
        if len(value) != 2:
            raise ValueError(f"command set has no valid element (0000,{element:04X})")
        return int.from_bytes(value, "little")

    def text(self, element: Element) -> str:
        """Return the value of a text element without its padding, empty where it is missing."""
        return self._values.get(element, b"").decode("ascii", "replace").strip("\0 ")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows the command set."""
        return self.number(Element.COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def encode(values: Mapping[Element, int | str]) -> bytes:
    """Return the encoded command set, Command Group Length first."""
    body = b"".join(_element(element, _value(element, values[element])) for element in sorted(values))
    return _element(Element.GROUP_LENGTH, struct.pack("<I", len(body))) + body


def response(request: Command, status: Status, comment: str = "") -> bytes:
    """Return the encoded response to any request, without a data set."""
    values: dict[Element, int | str] = {
        Element.COMMAND_FIELD: request.number(Element.COMMAND_FIELD) | RESPONSE,
        Element.MESSAGE_ID_BEING_RESPONDED_TO: request.number(Element.MESSAGE_ID),
        Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        Element.STATUS: status,
    }
    for element, sources in _AFFECTED.items():
        if value := next(filter(None, map(request.text, sources)), ""):
            values[element] = value
    for element in (Element.EVENT_TYPE_ID, Element.ACTION_TYPE_ID):
        if request.text(element):
            values[element] = request.number(element)
    if comment:
        values[Element.ERROR_COMMENT] = comment[:64]  # LO
    return encode(values)


def _value(element: Element, value: int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<H", value)
    content = value.encode("ascii", "replace")
    padding = b" " if element is Element.ERROR_COMMENT else b"\0"
    return content + padding if len(content) % 2 else content


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value
