"""What each frame of a SEG shows: functional groups and dimensions (PS3.3 C.7.6.16, C.7.6.17)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import DSfloat

from orchestrator.dicom.grid import FrameReference
from orchestrator.dicom.identity import CHARACTER_SET
from orchestrator.dicom.masks import EncodedFrames
from orchestrator.dicom.provenance import Uids
from orchestrator.dicom.source import Source

_BY_SEGMENT = ("ReferencedSegmentNumber", "SegmentIdentificationSequence")
_BY_POSITION = ("ImagePositionPatient", "PlanePositionSequence")
_BY_NUMBER = ("InStackPositionNumber", "FrameContentSequence")


def describe_frames(seg: Dataset, source: Source, frames: EncodedFrames, uids: Uids) -> None:
    """Add Multi-frame Functional Groups and Multi-frame Dimension: frames by segment, then by position.

    Frames lie where their source images lie, in a stack without one spacing too; images without a
    place in the patient are told apart by their number in the stack.
    """
    placed = bool(source.frame_of_reference)
    pointers = [] if frames.labelmap else [_BY_SEGMENT]
    pointers.append(_BY_POSITION if placed else _BY_NUMBER)
    organisation = uids.of("dimensions", str(source.number))
    seg.DimensionOrganizationSequence = [Dataset()]
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    seg.DimensionIndexSequence = [_dimension(organisation, *pointer) for pointer in pointers]
    seg.SharedFunctionalGroupsSequence = [_shared(source, placed)]
    _put_encoded(seg, "PerFrameFunctionalGroupsSequence", b"".join(_per_frame(source, frames, placed)))
    seg.NumberOfFrames = len(frames.shown)


def _dimension(organisation: str, attribute: str, group: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer, item.FunctionalGroupPointer = _tag(attribute), _tag(group)
    item.DimensionDescriptionLabel = attribute
    return item


def _shared(source: Source, placed: bool) -> Dataset:
    shared = Dataset()
    if source.pixel_spacing is not None:
        shared.PixelMeasuresSequence = [_pixel_measures(source)]
    if placed and source.orientation is not None:
        orientation = Dataset()
        orientation.ImageOrientationPatient = [_ds(value) for value in source.orientation]
        shared.PlaneOrientationSequence = [orientation]
    return shared


def _pixel_measures(source: Source) -> Dataset:
    item = Dataset()
    item.PixelSpacing = [_ds(value) for value in source.pixel_spacing or ()]
    between, thickness = source.slice_spacing_mm, source.first.get("SliceThickness")
    if thickness or between:
        item.SliceThickness = _ds(thickness or between)
    if between:
        item.SpacingBetweenSlices = _ds(between)
    return item


def _per_frame(source: Source, frames: EncodedFrames, placed: bool) -> Iterator[bytes]:
    """Yield the functional groups of each frame, encoded.

    What frames share, their source image, position and segment, is encoded once and joined. As pydicom
    datasets they would take longer than all the rest: one frame's groups are twenty elements.
    """
    slices = sorted({index for _, index in frames.shown})
    rank = {index: number for number, index in enumerate(slices, 1)}
    derivation = _Derivation()
    derived = {index: derivation.of(source.grid.frames[index]) for index in slices}
    placed_at = {index: _position(source, index) for index in slices if placed}
    segments = {number: _segment(number) for number in {number for number, _ in frames.shown}}
    for number, index in frames.shown:
        content = _content(number, rank[index], stacked=not placed)
        yield _item(derived[index] + content + placed_at.get(index, b"") + segments[number])  # in the order of tags


class _Derivation:
    """Encodes Derivation Image Sequences, their codes once and for all."""

    def __init__(self) -> None:
        self._purpose = _codes(0x0040A170, codes.DCM.SourceImageForImageProcessingOperation)
        self._derivation = _codes(0x00089215, codes.DCM.Segmentation)

    def of(self, frame: FrameReference) -> bytes:
        """Return the one that says from which image, or frame of an image, a frame was made, pixel by pixel."""
        image = (
            _text(0x00081150, "UI", frame.sop_class)
            + _text(0x00081155, "UI", frame.sop_uid)
            + (b"" if frame.frame is None else _text(0x00081160, "IS", str(frame.frame)))
            + _text(0x0028135A, "CS", "YES")  # Spatial Locations Preserved
            + self._purpose
        )
        return _sequence(0x00089124, _sequence(0x00082112, image) + self._derivation)


def _position(source: Source, index: int) -> bytes:
    positions = source.grid.positions
    place = [] if positions is None else [str(_ds(value)) for value in positions[index]]
    return _sequence(0x00209113, _text(0x00200032, "DS", "\\".join(place)))


def _content(number: int | None, rank: int, *, stacked: bool) -> bytes:
    """Return the Frame Content Sequence: the index along each dimension."""
    stack = _text(0x00209056, "SH", "1") + _element(0x00209057, "UL", struct.pack("<L", rank)) if stacked else b""
    indices = struct.pack("<L", rank) if number is None else struct.pack("<LL", number, rank)
    return _sequence(0x00209111, stack + _element(0x00209157, "UL", indices))


def _segment(number: int | None) -> bytes:
    """Return the Segment Identification Sequence; a label map has none."""
    return b"" if number is None else _sequence(0x0062000A, _element(0x0062000B, "US", struct.pack("<H", number)))


def _codes(tag: int, code: Code) -> bytes:
    return _sequence(
        tag,
        _text(0x00080100, "SH", code.value)
        + _text(0x00080102, "SH", code.scheme_designator)
        + _text(0x00080104, "LO", code.meaning),
    )


def _text(tag: int, vr: str, value: str) -> bytes:
    padding = ("\0" if vr == "UI" else " ") * (len(value) % 2)
    return _element(tag, vr, (value + padding).encode("ascii"))


def _sequence(tag: int, content: bytes) -> bytes:
    """Return a sequence of one item."""
    return _element(tag, "SQ", _item(content))


def _element(tag: int, vr: str, value: bytes) -> bytes:
    """Return an element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + struct.pack("<HL" if vr == "SQ" else "<H", *((0,) if vr == "SQ" else ()), len(value)) + value


def _item(content: bytes) -> bytes:
    """Return an item of a sequence with its length (PS3.5 7.5)."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def _put_encoded(seg: Dataset, keyword: str, items: bytes) -> None:
    """Set a sequence whose items are encoded already; pydicom reads them when somebody asks.

    They stay as they are when the object is written, since it claims to have come in this encoding.
    """
    tag = _tag(keyword)
    seg.set_original_encoding(False, True, convert_encodings(CHARACTER_SET))
    seg[tag] = RawDataElement(tag, "SQ", len(items), items, 0, is_implicit_VR=False, is_little_endian=True)


def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def _ds(value: Any) -> DSfloat:
    """Return a decimal string of at most 16 characters, as close to the value as that allows."""
    return DSfloat(value if isinstance(value, DSfloat) else float(value), auto_format=True)
