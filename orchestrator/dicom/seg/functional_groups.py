"""Functional groups and dimensions of a SEG or Parametric Map (PS3.3 C.7.6.16, C.7.6.17)."""

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
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.seg.planes import Planes

Content = tuple[int | None, int]
"""Content of a frame: segment number (None where frames have no segment), slice of the grid."""

_BY_SEGMENT = ("ReferencedSegmentNumber", "SegmentIdentificationSequence")
_BY_POSITION = ("ImagePositionPatient", "PlanePositionSequence")
_BY_NUMBER = ("InStackPositionNumber", "FrameContentSequence")


def describe_frames(
    dataset: Dataset,
    source: SourceGrid,
    contents: Sequence[Content],
    planes: Planes,
    *,
    organisation: str,
    derivation: Code,
) -> None:
    """Add Multi-frame Functional Groups and Multi-frame Dimension: frames by segment, then by position.

    Each frame has the position of its source image, also in an irregular stack. Images without patient geometry
    are identified by their number in the stack.
    contents: content of each frame. organisation: UID of the dimensions. derivation: CID 7203.
    """
    pointers = [] if contents[0][0] is None else [_BY_SEGMENT]
    pointers.append(_BY_POSITION if planes.by_position else _BY_NUMBER)
    dataset.DimensionOrganizationSequence = [Dataset()]
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    dataset.DimensionIndexSequence = [_dimension(organisation, *pointer) for pointer in pointers]
    dataset.SharedFunctionalGroupsSequence = [_shared(planes)]
    frames = b"".join(_per_frame(source, contents, planes, derivation))
    fast_sequences.put(dataset, "PerFrameFunctionalGroupsSequence", frames)
    dataset.NumberOfFrames = len(contents)


def _dimension(organisation: str, attribute: str, group: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer, item.FunctionalGroupPointer = Tag(attribute), Tag(group)
    item.DimensionDescriptionLabel = attribute
    return item


def _shared(planes: Planes) -> Dataset:
    groups = Dataset()
    if planes.spacing is not None:
        groups.PixelMeasuresSequence = [_pixel_measures(planes)]
    if planes.orientation is not None:
        orientation = Dataset()
        orientation.ImageOrientationPatient = [_ds(value) for value in planes.orientation]
        groups.PlaneOrientationSequence = [orientation]
    return groups


def _pixel_measures(planes: Planes) -> Dataset:
    item = Dataset()
    item.PixelSpacing = [_ds(value) for value in planes.spacing or ()]
    if planes.thickness:
        item.SliceThickness = _ds(planes.thickness)
    if planes.slice_spacing:
        item.SpacingBetweenSlices = _ds(planes.slice_spacing)
    return item


def _per_frame(source: SourceGrid, contents: Sequence[Content], planes: Planes, derivation: Code) -> Iterator[bytes]:
    """Yield the encoded functional groups of each frame.

    Each source image, position and segment is encoded once for all its frames. pydicom datasets would take longer
    than the rest of the object: the groups of one frame have twenty elements.
    """
    slices = sorted({index for _, index in contents})
    rank = {index: number for number, index in enumerate(slices, 1)}
    derivation_encoder = _DerivationEncoder(derivation)
    derivations = {index: derivation_encoder.encode(source.grid.frames[index]) for index in slices}
    positions = {} if planes.positions is None else {index: _position(planes.positions[index]) for index in slices}
    segments = {number: _segment(number) for number in {number for number, _ in contents}}
    for number, index in contents:
        frame_content = _frame_content(number, rank[index], with_stack=not planes.by_position)
        # in the order of tags
        yield fast_sequences.item(derivations[index] + frame_content + positions.get(index, b"") + segments[number])


class _DerivationEncoder:
    """Encodes Derivation Image Sequences; the codes are encoded only once."""

    def __init__(self, derivation: Code) -> None:
        self._purpose = _codes(0x0040A170, codes.DCM.SourceImageForImageProcessingOperation)
        self._derivation = _codes(0x00089215, derivation)

    def encode(self, frame: FrameReference) -> bytes:
        """Return the sequence for a frame that was derived pixel by pixel from this image."""
        image = (
            fast_sequences.text(0x00081150, "UI", frame.sop_class)
            + fast_sequences.text(0x00081155, "UI", frame.sop_uid)
            + (b"" if frame.frame is None else fast_sequences.text(0x00081160, "IS", str(frame.frame)))
            + fast_sequences.text(0x0028135A, "CS", "YES")  # Spatial Locations Preserved
            + self._purpose
        )
        return fast_sequences.sequence(0x00089124, fast_sequences.sequence(0x00082112, image) + self._derivation)


def _position(position: npt.NDArray[np.float64]) -> bytes:
    return fast_sequences.sequence(
        0x00209113, fast_sequences.text(0x00200032, "DS", "\\".join(str(_ds(value)) for value in position))
    )


def _frame_content(number: int | None, rank: int, *, with_stack: bool) -> bytes:
    """Return the Frame Content Sequence with the index along each dimension."""
    stack = (
        fast_sequences.text(0x00209056, "SH", "1") + fast_sequences.element(0x00209057, "UL", struct.pack("<L", rank))
        if with_stack
        else b""
    )
    indices = struct.pack("<L", rank) if number is None else struct.pack("<LL", number, rank)
    return fast_sequences.sequence(0x00209111, stack + fast_sequences.element(0x00209157, "UL", indices))


def _segment(number: int | None) -> bytes:
    """Return the Segment Identification Sequence; empty for a label map."""
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
    """Return the value as a decimal string of at most 16 characters."""
    return DSfloat(value if isinstance(value, DSfloat) else float(value), auto_format=True)
