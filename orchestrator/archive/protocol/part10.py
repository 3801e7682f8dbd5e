"""Reads DICOM files (PS3.10) that arrive in pieces: first the file meta information, then the data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.quiet import quiet

_LARGEST_META_BYTES = 64 << 10
_META_START = 132 + 12  # preamble, DICM, and the group length with its value
_PREFIX = b"DICM\x02\x00\x00\x00UL\x04\x00"
_ELEMENTS = (0x0002, 0x0003, 0x0010)  # Media Storage SOP Class and SOP Instance UID, Transfer Syntax UID
_GROUP = 0x0002


@dataclass(frozen=True, slots=True)
class FileDescription:
    """File meta information of one file. dataset: its encoded data set, in pieces as they arrive."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    dataset: Iterator[bytes | memoryview]


def describe_file(pieces: Iterable[bytes]) -> FileDescription:
    """Return the description of a file; only its file meta information is read.

    Raises UnreadableFile, and whatever the iterator of pieces raises.
    """
    rest = iter(pieces)
    head = _head(rest)
    start = _META_START + int.from_bytes(head[140:144], "little")
    try:
        with quiet():
            meta = dict(_elements(head[_META_START:start]))
        sop_class, sop_uid, transfer_syntax = (_uid(meta[number]) for number in _ELEMENTS)
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"not a DICOM file ({type(fault).__name__})") from None
    return FileDescription(sop_class, sop_uid, transfer_syntax, chain([memoryview(head)[start:]], rest))


def _elements(meta: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield element number and value of file meta information (PS3.10 7.1).

    dcmread is not used: for these few elements it takes as long as writing an image. Raises ValueError, and whatever
    pydicom raises on broken bytes.
    """
    end = 0
    for element in data_element_generator(BytesIO(meta), is_implicit_VR=False, is_little_endian=True):
        if not isinstance(element, RawDataElement) or element.tag >> 16 != _GROUP:
            raise ValueError("file meta information has a sequence or an element of another group")
        yield element.tag & 0xFFFF, element.value or b""
        end = element.value_tell + element.length
    if end != len(meta):
        raise ValueError("last element of the file meta information is incomplete")


def _uid(value: bytes) -> str:
    """Return the UID without its padding. Raises ValueError where there is none."""
    uid = value.decode("ascii").rstrip("\0 ")
    if not uid:
        raise ValueError("UID is empty")
    return uid


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the first pieces, until preamble and file meta information are complete.

    Raises UnreadableFile.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _META_START:
            if head[128:140] != _PREFIX:
                raise UnreadableFile("not a DICOM file (no file meta information)")
            length = _META_START + int.from_bytes(head[140:144], "little")
            if length > _LARGEST_META_BYTES:
                raise UnreadableFile("not a DICOM file (file meta information is too long)")
            if len(head) >= length:
                return head
    raise UnreadableFile("not a DICOM file (it ends within the file meta information)")
