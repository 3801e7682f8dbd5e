"""Encodes long sequences directly to bytes (PS3.5 7.1.2, 7.5).

Building them as pydicom datasets would take longer than the rest of a SEG.
The encoding is Explicit VR Little Endian; values are ASCII: UIDs, codes, numbers.
"""

from __future__ import annotations

import struct

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from orchestrator.dicom.objects.identity import CHARACTER_SET


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Return an encoded element; ``value`` must have an even length."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<HL", 0, len(value)) if vr == "SQ" else struct.pack("<H", len(value))
    return head + length + value


def text(tag: int, vr: str, value: str) -> bytes:
    """Return an encoded text element, padded to an even length."""
    padding = ("\0" if vr == "UI" else " ") * (len(value) % 2)
    return element(tag, vr, (value + padding).encode("ascii"))


def item(content: bytes) -> bytes:
    """Return an encoded sequence item."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def sequence(tag: int, content: bytes) -> bytes:
    """Return an encoded sequence of one item."""
    return element(tag, "SQ", item(content))


def put(dataset: Dataset, keyword: str, items: bytes) -> None:
    """Set a sequence from encoded items; pydicom parses them on first access.

    pydicom writes the bytes unchanged, because the dataset declares this encoding as its original one.
    """
    tag = Tag(keyword)
    dataset.set_original_encoding(False, True, convert_encodings(CHARACTER_SET))
    dataset[tag] = RawDataElement(tag, "SQ", len(items), items, 0, is_implicit_VR=False, is_little_endian=True)
