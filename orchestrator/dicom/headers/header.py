"""Reads the header of a DICOM file into an Instance: identity, geometry, digest, position of the pixels."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, FileDataset, dcmread
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.valuerep import VR

from orchestrator.dicom.headers.attributes import (
    attributes,
    distinct,
    frame_attributes,
    header_facts,
    number,
    plane,
    text,
)
from orchestrator.dicom.headers.deflated import DeflatedFile, DeflatedPixels
from orchestrator.dicom.headers.geometry import geometry_facts
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.images import LeftOut
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import Headers, Instance, PixelLocation

IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""Attributes that identify patient and order."""

DIGEST_KEYWORDS = (
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
    # meaning of the pixel bytes
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
"""Attributes in an instance's digest, beside its pixels: a resend that differs in one of them has new content."""

# One value per frame would fill the facts of a multi-frame object; plan() reads these from the file.
_OF_ONE_FRAME = frozenset(
    {"ImagePositionPatient", "DimensionIndexValues", "InStackPositionNumber", "FrameReferenceDateTime"}
    | {"FrameAcquisitionDateTime", "FrameAcquisitionNumber", "TemporalPositionTimeOffset"}
)
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_UID = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*", re.ASCII)  # leading zeros are wrong but common; only dots is a path
_LAST_UID = 0x0020000E  # Series Instance UID
_CHUNK = 1 << 20


def read_instance(path: Path) -> Instance:
    """Return the instance in a file; objects without pixels (SR, KO, PR ...) are instances too.

    A file without preamble and file meta information is accepted if it looks like a dataset.
    Text is decoded by its Specific Character Set, as Latin-1 where this is unknown.
    Pixels are hashed, not decoded.
    Raises UnreadableFile where the file is not a DICOM object with valid UIDs.
    """
    try:
        with path.open("rb") as stream:
            return _read(path, stream, path.stat().st_size)
    except UnreadableFile as fault:
        raise UnreadableFile(f"{path.name} {fault}") from None
    except Exception as error:  # pydicom raises exceptions of any type for broken bytes
        raise UnreadableFile(f"{path.name} cannot be read as DICOM ({type(error).__name__})") from error


def unreadable_instance(
    path: Path, *, study_uid: str = "", series_uid: str = "", sop_uid: str = "", sop_class: str = ""
) -> Instance | None:
    """Return a file that ``read_instance`` refuses as an instance that is left out; its digest is over its bytes.

    The UIDs are those that its sender announced; where a UID is empty, those in the file.
    None where its series or its own UID is not known.
    """
    uids = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid, "SOPInstanceUID": sop_uid}
    uids["SOPClassUID"] = sop_class
    if not all(uids.values()):
        in_file = _first_attributes(path)
        uids = {keyword: uid or text(in_file, keyword) for keyword, uid in uids.items()}
    study, series, instance, kind = uids.values()
    if not all(map(_UID.fullmatch, (study, series, instance))):
        return None
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
    return Instance(study, series, instance, kind, path, digest, left_out=LeftOut.UNREADABLE)


def _first_attributes(path: Path) -> Headers:
    """Return the attributes up to Series Instance UID of a file that is broken later; empty where it breaks before."""
    try:
        with path.open("rb") as stream, quiet():
            if not _looks_like_dicom(stream):
                return {}

            def is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
                return bool(tag > _LAST_UID)

            file = DeflatedFile.of(stream)
            return attributes(file.header(is_behind) if file else read_partial(stream, stop_when=is_behind, force=True))
    except Exception:  # noqa: BLE001  # pydicom raises exceptions of any type for broken bytes
        return {}


def read_header(path: Path) -> FileDataset:
    """Return the file's dataset up to its pixels.

    Exceptions of pydicom pass through: ``read_instance`` has already checked the file.
    """
    with path.open("rb") as stream:
        return _parse(stream, path.stat().st_size).dataset


@contextmanager
def open_deflated(path: Path) -> Iterator[DeflatedPixels | None]:
    """Give the pixels of a deflated file, None where it is not deflated or has none of a known length.

    Raises UnreadableFile.
    """
    with path.open("rb") as stream:
        yield _parse(stream, path.stat().st_size).deflated


def read_whole(path: Path) -> FileDataset:
    """Return the file's dataset with its pixels, in memory."""
    with quiet():
        return dcmread(path, force=True)


def _read(path: Path, stream: BinaryIO, size: int) -> Instance:
    if not _looks_like_dicom(stream):
        raise UnreadableFile("is not a DICOM file")
    parsed = _parse(stream, size)
    with quiet():
        headers, frames = _headers(parsed.dataset)
    count = max(1, int(number(headers, "NumberOfFrames") or 1))
    return Instance(
        study_uid=_uid(headers, "StudyInstanceUID"),
        series_uid=_uid(headers, "SeriesInstanceUID"),
        sop_uid=_uid(headers, "SOPInstanceUID"),
        sop_class=_uid(headers, "SOPClassUID"),
        path=path,
        digest=_digest(headers, frames, _pixel_bytes(stream, parsed)),
        frames=count,
        plane=None if frames or count > 1 else plane(headers),
        headers=headers,
        pixels=parsed.pixels,
    )


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A dataset up to its pixels. pixels: where they are. deflated: the pixels of a deflated file."""

    dataset: FileDataset
    pixels: PixelLocation | None = None
    deflated: DeflatedPixels | None = None


def _parse(stream: BinaryIO, size: int) -> _Parsed:
    """Return the dataset up to its pixels, and the location of the pixels.

    Raises UnreadableFile where the file ends inside the header.
    """
    locations: list[tuple[str, int, int]] = []
    with quiet():
        file = DeflatedFile.of(stream)
    source = file.dataset if file else stream

    def at_pixels(tag: BaseTag, _: str | None, length: int) -> bool:
        value_at = source.tell()
        if tag in _PIXELS:
            locations.append((_PIXELS[tag], value_at, length))
            return True
        if length != _UNDEFINED_LENGTH and not file and value_at < size < value_at + length:
            raise UnreadableFile(f"ends inside its header, at {BaseTag(tag)}")
        return False

    with quiet():
        dataset = file.header(at_pixels) if file else read_partial(stream, stop_when=at_pixels, force=True)
    if not locations:
        return _Parsed(dataset)
    keyword, offset, length = locations[-1]
    if file:
        location = PixelLocation(str(DeflatedExplicitVRLittleEndian), keyword, None, None, size)
        return _Parsed(dataset, location, None if length == _UNDEFINED_LENGTH else file.pixels(offset, length))
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or _guess_syntax(dataset))
    return _Parsed(
        dataset, PixelLocation(syntax, keyword, offset, None if length == _UNDEFINED_LENGTH else length, size)
    )


def _guess_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _looks_like_dicom(stream: BinaryIO) -> bool:
    """Return True for a file with the DICM prefix, or whose first element is plausible (group 0002 or 0008)."""
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


def _headers(dataset: Dataset) -> tuple[Headers, list[Headers]]:
    """Return the header of the object and the header of each of its frames."""
    headers = header_facts(dataset)
    frames = frame_attributes(dataset)
    if frames:
        promoted = {k: v for k, v in distinct(frames).items() if k not in _OF_ONE_FRAME and k not in headers}
        planes = [each for frame in frames if (each := plane(frame)) is not None]
        headers |= promoted | geometry_facts(planes)
    syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID", "")
    return (headers | {"TransferSyntaxUID": (str(syntax),)} if syntax else headers), frames


def _uid(headers: Headers, keyword: str) -> str:
    uid = text(headers, keyword)
    if not _UID.fullmatch(uid):
        raise UnreadableFile(f"has no valid {keyword}")
    return uid


def _digest(headers: Headers, frames: list[Headers], pixels: Iterable[bytes]) -> str:
    values = [[(key, each.get(key)) for key in DIGEST_KEYWORDS if key in each] for each in (headers, *frames)]
    digest = hashlib.sha256(json.dumps(values, separators=(",", ":")).encode())
    for chunk in pixels:
        digest.update(chunk)
    return digest.hexdigest()


def _pixel_bytes(stream: BinaryIO, parsed: _Parsed) -> Iterator[bytes]:
    """Yield the pixel bytes, of compressed frames without the offset table; the whole file where it has no pixels."""
    pixels = parsed.pixels
    if pixels is None:
        stream.seek(0)
        yield from iter(lambda: stream.read(_CHUNK), b"")
    elif pixels.offset is None:
        if parsed.deflated is None:
            raise UnreadableFile("is deflated, and its pixels have no length")
        yield from parsed.deflated.chunks()
    elif pixels.length is None:
        stream.seek(pixels.offset)
        parse_basic_offsets(stream)  # an archive may add or remove the table
        yield from generate_fragments(stream)
    else:
        stream.seek(pixels.offset)
        remaining = pixels.length
        while remaining > 0 and (chunk := stream.read(min(remaining, _CHUNK))):
            remaining -= len(chunk)
            yield chunk
