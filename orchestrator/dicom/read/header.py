"""A file becomes an Instance: its identity, its place, its digest; or UnreadableFile, whatever is wrong with it."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, FileDataset, dcmread
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.valuerep import VR

from orchestrator.dicom.read.attributes import described, distinct, frame_attributes, number, plane, text
from orchestrator.dicom.read.geometry import geometry_facts
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import Headers, Instance, PixelLocation

IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""Whose images these are."""

DIGESTED = (
    *IDENTITY,
    "StudyInstanceUID",
    "SeriesInstanceUID",
    # sides
    "Laterality",
    "ImageLaterality",
    "FrameLaterality",
    "ViewPosition",
    "PatientOrientation",
    "PatientPosition",
    # geometry
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
    "NumberOfFrames",
    # what the pixel bytes mean
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "Units",
)
"""Attributes in an instance's digest, beside its pixels: a resend that differs in one of them is another content."""

# Positions are per frame and would fill the facts of a multi-frame object; plan() reads them from the file.
_OF_ONE_FRAME = frozenset(
    {"ImagePositionPatient", "DimensionIndexValues", "InStackPositionNumber", "FrameReferenceDateTime"}
    | {"FrameAcquisitionDateTime", "FrameAcquisitionNumber", "TemporalPositionTimeOffset"}
)
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_UID = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*", re.ASCII)  # leading zeros are wrong and common; dots alone are a path
_CHUNK = 1 << 20
_META_AT_MOST = 2048
INFLATED_AT_MOST = 1 << 30
"""Bytes of a deflated file's dataset; the encoding is meant for reports and segmentations."""


def read_instance(path: Path) -> Instance:
    """Return what the file holds; objects without pixels (SR, KO, PR ...) are instances too.

    A file without preamble and meta header is read where it looks like a dataset. Text is decoded
    by its Specific Character Set, in an unknown one as Latin-1. Pixels are hashed, not decoded.
    Raises UnreadableFile for anything that is no DICOM object with UIDs of its own.
    """
    try:
        with path.open("rb") as stream:
            return _read(path, stream, path.stat().st_size)
    except UnreadableFile as fault:
        raise UnreadableFile(f"{path.name} {fault}") from None
    except Exception as error:  # a parser trips over broken bytes in ways of its own; all are one fault
        raise UnreadableFile(f"{path.name} cannot be read as DICOM ({type(error).__name__})") from error


def read_header(path: Path) -> FileDataset:
    """Return the file's dataset up to its pixels.

    Raises what pydicom raises; ``read_instance`` has proved the file sound.
    """
    with path.open("rb") as stream:
        return _parse(stream, path.stat().st_size)[0]


def read_whole(path: Path) -> FileDataset:
    """Return the file's dataset with its pixels, in memory."""
    with quiet():
        return dcmread(path, force=True)


def _read(path: Path, stream: BinaryIO, size: int) -> Instance:
    if not _looks_like_dicom(stream):
        raise UnreadableFile("is no DICOM file")
    _check_inflated_size(stream)
    dataset, pixels = _parse(stream, size)
    with quiet():
        headers, frames = _described(dataset)
    count = max(1, int(number(headers, "NumberOfFrames") or 1))
    return Instance(
        study_uid=_uid(headers, "StudyInstanceUID"),
        series_uid=_uid(headers, "SeriesInstanceUID"),
        sop_uid=_uid(headers, "SOPInstanceUID"),
        sop_class=_uid(headers, "SOPClassUID"),
        path=path,
        digest=_digest(headers, frames, _pixel_bytes(path, stream, pixels)),
        frames=count,
        plane=None if frames or count > 1 else plane(headers),
        headers=headers,
        pixels=pixels,
    )


def _parse(stream: BinaryIO, size: int) -> tuple[FileDataset, PixelLocation | None]:
    """Return the dataset up to its pixels and where these are.

    Raises UnreadableFile where the header goes on beyond the end of the file.
    """
    found: list[tuple[str, int, int]] = []

    def at_pixels(tag: BaseTag, _: str | None, length: int) -> bool:
        value_at = stream.tell()
        if tag in _PIXELS:
            found.append((_PIXELS[tag], value_at, length))
            return True
        if length != _UNDEFINED_LENGTH and value_at < size < value_at + length:  # a deflated file is read to its end
            raise UnreadableFile(f"ends inside its header, at {BaseTag(tag)}")
        return False

    with quiet():
        dataset = read_partial(stream, stop_when=at_pixels, force=True)
    if not found:
        return dataset, None
    keyword, offset, length = found[-1]
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or _guessed_syntax(dataset))
    if syntax == DeflatedExplicitVRLittleEndian:
        return dataset, PixelLocation(syntax, keyword, None, None, size)
    encapsulated = length == _UNDEFINED_LENGTH
    return dataset, PixelLocation(syntax, keyword, offset, None if encapsulated else length, size)


def _guessed_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _looks_like_dicom(stream: BinaryIO) -> bool:
    """True with the DICM prefix, or where the first element is a plausible one of group 0002 or 0008."""
    start = stream.read(132)
    stream.seek(0)
    if start[128:] == b"DICM":
        return True
    if len(start) < 12:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in (0x0002, 0x0008) and element < 0x0100:
            explicit = start[4:6].decode("latin-1") in {str(vr) for vr in VR}
            return explicit or (order == "<" and struct.unpack("<L", start[4:8])[0] < 1024)
    return False


def _check_inflated_size(stream: BinaryIO) -> None:
    """Refuse a deflated file (PS3.5 A.5) that would inflate beyond all bounds; pydicom inflates it in memory."""
    start = stream.read(_META_AT_MOST)
    if start[128:132] == b"DICM" and DeflatedExplicitVRLittleEndian.encode() in start:
        # group 0002 begins with its own length, an explicit UL of 12 bytes (PS3.10 7.1)
        stream.seek(144 + struct.unpack_from("<L", start, 140)[0])
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        size, pending = 0, stream.read(_CHUNK)
        while pending and not inflate.eof:
            size += len(inflate.decompress(pending, _CHUNK))
            if size > INFLATED_AT_MOST:
                raise UnreadableFile(f"inflates to more than {INFLATED_AT_MOST >> 20} MiB")
            pending = inflate.unconsumed_tail or stream.read(_CHUNK)
    stream.seek(0)


def _described(dataset: Dataset) -> tuple[Headers, list[Headers]]:
    """Return the header of the whole object and that of each of its frames."""
    headers = described(dataset)
    frames = frame_attributes(dataset)
    if frames:
        promoted = {k: v for k, v in distinct(frames).items() if k not in _OF_ONE_FRAME and k not in headers}
        planes = [where for frame in frames if (where := plane(frame)) is not None]
        headers |= promoted | geometry_facts(planes)
    syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID", "")
    return (headers | {"TransferSyntaxUID": (str(syntax),)} if syntax else headers), frames


def _uid(headers: Headers, keyword: str) -> str:
    uid = text(headers, keyword)
    if not _UID.fullmatch(uid):
        raise UnreadableFile(f"has no valid {keyword}")
    return uid


def _digest(headers: Headers, frames: list[Headers], pixels: Iterable[bytes]) -> str:
    said = [[(key, of.get(key)) for key in DIGESTED if key in of] for of in (headers, *frames)]
    digest = hashlib.sha256(json.dumps(said, separators=(",", ":")).encode())
    for chunk in pixels:
        digest.update(chunk)
    return digest.hexdigest()


def _pixel_bytes(path: Path, stream: BinaryIO, pixels: PixelLocation | None) -> Iterator[bytes]:
    """Yield the pixel bytes, frame fragments without their offset table; of objects without pixels, the file."""
    if pixels is None:
        stream.seek(0)
        yield from iter(lambda: stream.read(_CHUNK), b"")
    elif pixels.offset is None:
        yield bytes(read_whole(path)[pixels.keyword].value)
    elif pixels.length is None:
        stream.seek(pixels.offset)
        parse_basic_offsets(stream)  # an archive may add or drop the table; the frames stay the same
        yield from generate_fragments(stream)
    else:
        stream.seek(pixels.offset)
        left = pixels.length
        while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
