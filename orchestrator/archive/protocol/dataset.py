"""Encoded data sets from the network: reads their UIDs and writes the file header that goes before them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import data_element_generator
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPIPHTJ2KReferencedDeflate,
)

from orchestrator.domain.errors import UnreadableFile

IMPLEMENTATION_CLASS_UID = "2.25.220504610498634488784997762191609326544"
IMPLEMENTATION_VERSION = "ORCHESTRATOR_1"
"""Identify this software in files and on associations (PS3.7 D.3.3.2)."""

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_TAGS = [_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES]
_DEFLATED = {str(DeflatedExplicitVRLittleEndian), str(JPIPHTJ2KReferencedDeflate), "1.2.840.10008.1.2.4.95"}
_INFLATED_BYTES = 4 << 20  # enough for everything before group 0020; limits a decompression bomb


@dataclass(frozen=True, slots=True)
class Identity:
    """SOP class and UIDs in a data set; empty where the attribute is absent."""

    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str


def read_identity(stream: BinaryIO, transfer_syntax: str) -> Identity:
    """Return the UIDs of the encoded data set at the stream's position; reading stops after the last of them.

    Raises UnreadableFile.
    """
    try:
        if transfer_syntax in _DEFLATED:
            stream = _inflate(stream)
        elements = data_element_generator(
            stream,
            is_implicit_VR=transfer_syntax == ImplicitVRLittleEndian,
            is_little_endian=transfer_syntax != ExplicitVRBigEndian,
            stop_when=lambda tag, _vr, _length: tag > _SERIES,
            specific_tags=_TAGS,
        )
        values = {int(element.tag): element.value for element in elements}
        texts = [_text(values.get(tag)) for tag in _TAGS]
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"the encoded data set cannot be parsed ({type(fault).__name__})") from None
    return Identity(*texts)


def _inflate(stream: BinaryIO) -> BinaryIO:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    return BytesIO(decompressor.decompress(stream.read(_INFLATED_BYTES), _INFLATED_BYTES))


def _text(value: object) -> str:
    return value.decode("ascii").rstrip("\0 ") if isinstance(value, bytes) else ""


def file_header(
    sop_class: str, sop_uid: str, transfer_syntax: str, calling: str, called: str, source: str = ""
) -> bytes:
    """Return preamble and File Meta Information (PS3.10 7.1) for an encoded data set.

    Source and Receiving Application Entity Title hold the sender and the receiver. Private Information holds the
    archive that the instance was fetched from. After a restart, the spool reads all three from the file.
    """
    elements = b"".join(
        [
            _element(0x0001, b"OB\0\0", b"\0\1", length="<I"),
            _element(0x0002, b"UI", _even(sop_class, b"\0")),
            _element(0x0003, b"UI", _even(sop_uid, b"\0")),
            _element(0x0010, b"UI", _even(transfer_syntax, b"\0")),
            _element(0x0012, b"UI", _even(IMPLEMENTATION_CLASS_UID, b"\0")),
            _element(0x0013, b"SH", _even(IMPLEMENTATION_VERSION, b" ")),
            _element(0x0016, b"AE", _even(calling, b" ")),
            _element(0x0018, b"AE", _even(called, b" ")),
            *_private(source),
        ]
    )
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<I", len(elements))) + elements


def read_source(meta: FileMetaDataset) -> str:
    """Return the archive that an instance was fetched from, empty where a sender pushed it."""
    if meta.get("PrivateInformationCreatorUID") != IMPLEMENTATION_CLASS_UID:
        return ""
    return bytes(meta.PrivateInformation).rstrip(b"\0").decode("ascii", "replace")


def _private(source: str) -> list[bytes]:
    if not source:
        return []
    creator = _element(0x0100, b"UI", _even(IMPLEMENTATION_CLASS_UID, b"\0"))
    return [creator, _element(0x0102, b"OB\0\0", _even(source, b"\0"), length="<I")]


def _element(number: int, vr: bytes, value: bytes, length: str = "<H") -> bytes:
    return struct.pack("<HH", 0x0002, number) + vr + struct.pack(length, len(value)) + value


def _even(text: str, padding: bytes) -> bytes:
    content = text.encode("ascii", "replace")
    return content + padding if len(content) % 2 else content
