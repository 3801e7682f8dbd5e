"""DICOM files (PS3.10) that come in pieces: what their file meta information says, and then the data set."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from orchestrator.domain.errors import UnreadableFile

_LARGEST_META_BYTES = 64 << 10
_META_START = 132 + 12  # preamble, DICM, and the group length with its value
_PREFIX = b"DICM\x02\x00\x00\x00UL\x04\x00"
_WANTED = (0x0002, 0x0003, 0x0010)  # Media Storage SOP Class and SOP Instance UID, Transfer Syntax UID
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_GROUP = 0x0002


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says it holds; dataset: its encoded data set in pieces, as they come."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    dataset: Iterator[bytes | memoryview]


def describe_file(pieces: Iterable[bytes]) -> Described:
    """Return what the file says, having taken no more of it than that.

    Raises UnreadableFile, and what the pieces raise.
    """
    rest = iter(pieces)
    head = _head(rest)
    start = _META_START + int.from_bytes(head[140:144], "little")
    try:
        meta = dict(_elements(head[_META_START:start]))
        sop_class, sop_uid, transfer_syntax = (_uid(meta[number]) for number in _WANTED)
    except (KeyError, ValueError, struct.error) as fault:
        raise UnreadableFile(f"what came is no DICOM file ({type(fault).__name__})") from None
    return Described(sop_class, sop_uid, transfer_syntax, chain([memoryview(head)[start:]], rest))


def _elements(meta: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield element number and value of file meta information (PS3.10 7.1), which is in Explicit VR Little Endian.

    pydicom needs more time for these few elements than writing an image takes. Raises ValueError, struct.error.
    """
    start = 0
    while start < len(meta):
        group, number, vr, size = struct.unpack_from("<HH2sH", meta, start)
        start += 8
        if vr in _LONG:  # the length has four bytes behind two that are reserved (PS3.5 7.1.2)
            (size,) = struct.unpack_from("<I", meta, start)
            start += 4
        if group != _GROUP or start + size > len(meta):
            raise ValueError("an element does not end, or is of another group")
        yield number, meta[start : start + size]
        start += size


def _uid(value: bytes) -> str:
    """Return the UID without its padding. Raises ValueError where there is none."""
    uid = value.decode("ascii").rstrip("\0 ")
    if not uid:
        raise ValueError("an empty UID")
    return uid


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the first pieces until preamble and file meta information are whole.

    Raises UnreadableFile.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _META_START:
            if head[128:140] != _PREFIX:
                raise UnreadableFile("what came is no DICOM file (no file meta information)")
            wanted = _META_START + int.from_bytes(head[140:144], "little")
            if wanted > _LARGEST_META_BYTES:
                raise UnreadableFile("what came is no DICOM file (its file meta information has no end)")
            if len(head) >= wanted:
                return head
    raise UnreadableFile("what came is no DICOM file (it ends too early)")
