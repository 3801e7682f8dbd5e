"""What each frame of a SEG or of a map shows: functional groups and dimensions (PS3.3 C.7.6.16, C.7.6.17)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from orchestrator.dicom.objects import fast_sequences
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.source import Source
from orchestrator.dicom.seg.planes import Planes

Shown = tuple[int | None, int]
"""What a frame shows: a segment's number, None where frames are not told apart by segments, and a slice of the grid."""

_BY_SEGMENT = ("ReferencedSegmentNumber", "SegmentIdentificationSequence")
_BY_POSITION = ("ImagePositionPatient", "PlanePositionSequence")
_BY_NUMBER = ("InStackPositionNumber", "FrameContentSequence")


def describe_frames(
    made: Dataset,
    source: Source,
    shown: Sequence[Shown],
    planes: Planes,
    *,
    organisation: str,
    derivation: Code,
) -> None:
    """Add Multi-frame Functional Groups and Multi-frame Dimension: frames by segment, then by position.

    Frames lie where their source images lie, in a stack without one spacing too; images without a
    place in the patient are told apart by their number in the stack.
    shown: what each frame shows. organisation: UID of the dimensions. derivation: CID 7203.
    """
    pointers = [] if shown[0][0] is None else [_BY_SEGMENT]
    pointers.append(_BY_POSITION if planes.by_place else _BY_NUMBER)
    made.DimensionOrganizationSequence = [Dataset()]
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    made.DimensionIndexSequence = [_dimension(organisation, *pointer) for pointer in pointers]
    made.SharedFunctionalGroupsSequence = [_shared(planes)]
    frames = b"".join(_per_frame(source, shown, planes, derivation))
    fast_sequences.put(made, "PerFrameFunctionalGroupsSequence", frames)
    made.NumberOfFrames = len(shown)


def _dimension(organisation: str, attribute: str, group: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer, item.FunctionalGroupPointer = Tag(attribute), Tag(group)
    item.DimensionDescriptionLabel = attribute
    return item


def _shared(planes: Planes) -> Dataset:
    shared = Dataset()
    if planes.spacing is not None:
        shared.PixelMeasuresSequence = [_pixel_measures(planes)]
    if planes.orientation is not None:
        orientation = Dataset()
        orientation.ImageOrientationPatient = [_ds(value) for value in planes.orientation]
        shared.PlaneOrientationSequence = [orientation]
    return shared


def _pixel_measures(planes: Planes) -> Dataset:
    item = Dataset()
    item.PixelSpacing = [_ds(value) for value in planes.spacing or ()]
    if planes.thickness:
        item.SliceThickness = _ds(planes.thickness)
    if planes.between:
        item.SpacingBetweenSlices = _ds(planes.between)
    return item


def _per_frame(source: Source, shown: Sequence[Shown], planes: Planes, derivation: Code) -> Iterator[bytes]:
    """Yield the functional groups of each frame, encoded.

    What frames share, their source image, position and segment, is encoded once and joined. As pydicom
    datasets they would take longer than all the rest: one frame's groups are twenty elements.
    """
    slices = sorted({index for _, index in shown})
    rank = {index: number for number, index in enumerate(slices, 1)}
    derived_from = _Derivation(derivation)
    derived = {index: derived_from.of(source.grid.frames[index]) for index in slices}
    placed = {} if planes.positions is None else {index: _position(planes.positions[index]) for index in slices}
    segments = {number: _segment(number) for number in {number for number, _ in shown}}
    for number, index in shown:
        content = _content(number, rank[index], stacked=not planes.by_place)
        yield fast_sequences.item(
            derived[index] + content + placed.get(index, b"") + segments[number]
        )  # in the order of tags


class _Derivation:
    """Encodes Derivation Image Sequences, their codes once and for all."""

    def __init__(self, derivation: Code) -> None:
        self._purpose = _codes(0x0040A170, codes.DCM.SourceImageForImageProcessingOperation)
        self._derivation = _codes(0x00089215, derivation)

    def of(self, frame: FrameReference) -> bytes:
        """Return the one that says from which image, or frame of an image, a frame was made, pixel by pixel."""
        image = (
            fast_sequences.text(0x00081150, "UI", frame.sop_class)
            + fast_sequences.text(0x00081155, "UI", frame.sop_uid)
            + (b"" if frame.frame is None else fast_sequences.text(0x00081160, "IS", str(frame.frame)))
            + fast_sequences.text(0x0028135A, "CS", "YES")  # Spatial Locations Preserved
            + self._purpose
        )
        return fast_sequences.sequence(0x00089124, fast_sequences.sequence(0x00082112, image) + self._derivation)


def _position(place: npt.NDArray[np.float64]) -> bytes:
    return fast_sequences.sequence(
        0x00209113, fast_sequences.text(0x00200032, "DS", "\\".join(str(_ds(value)) for value in place))
    )


def _content(number: int | None, rank: int, *, stacked: bool) -> bytes:
    """Return the Frame Content Sequence: the index along each dimension."""
    stack = (
        fast_sequences.text(0x00209056, "SH", "1") + fast_sequences.element(0x00209057, "UL", struct.pack("<L", rank))
        if stacked
        else b""
    )
    indices = struct.pack("<L", rank) if number is None else struct.pack("<LL", number, rank)
    return fast_sequences.sequence(0x00209111, stack + fast_sequences.element(0x00209157, "UL", indices))


def _segment(number: int | None) -> bytes:
    """Return the Segment Identification Sequence; a label map has none."""
    return (
        b""
        if number is None
        else fast_sequences.sequence(0x0062000A, fast_sequences.element(0x0062000B, "US", struct.pack("<H", number)))
    )


def _codes(tag: int, code: Code) -> bytes:
    return fast_sequences.sequence(
        tag,
        fast_sequences.text(0x00080100, "SH", code.value)
        + fast_sequences.text(0x00080102, "SH", code.scheme_designator)
        + fast_sequences.text(0x00080104, "LO", code.meaning),
    )


def _ds(value: Any) -> DSfloat:
    """Return a decimal string of at most 16 characters, as close to the value as that allows."""
    return DSfloat(value if isinstance(value, DSfloat) else float(value), auto_format=True)
