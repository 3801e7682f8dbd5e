"""Turns masks into the frames of a SEG: non-empty segments, their slices, packed bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.domain.result import Segment

COLOURS = (
    *((230, 60, 60), (60, 160, 235), (70, 190, 90), (245, 175, 40), (170, 95, 220), (40, 190, 185)),
    *((240, 115, 180), (150, 190, 45), (235, 120, 50), (110, 120, 235), (190, 140, 100), (120, 200, 240)),
)
"""Display colours of segments without one of their own, RGB 0..255; they repeat."""

MOST_LABELS = 255
"""Largest number of segments in a label map with one byte per pixel, besides the background."""


Packed = npt.NDArray[np.uint8]
"""One mask plane, eight pixels per byte, the first pixel in the lowest bit (PS3.5 8.1.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class NonEmptySegment:
    """A segment with at least one voxel.

    number: Segment Number in the SEG, from 1. mask: (slice, row, column) bool.
    packed: the planes with voxels, by slice. counts: number of voxels on each slice of the grid.
    """

    number: int
    segment: Segment
    mask: npt.NDArray[np.bool_]
    packed: Mapping[int, Packed]
    counts: npt.NDArray[np.int64]

    @property
    def slices(self) -> Sequence[int]:
        """The slices on which the segment has voxels, in order."""
        return tuple(self.packed)

    @property
    def voxels(self) -> int:
        """The number of voxels."""
        return int(self.counts.sum())

    @property
    def colour(self) -> tuple[int, int, int]:
        """The display colour, RGB 0..255."""
        return self.segment.colour or COLOURS[(self.number - 1) % len(COLOURS)]


def non_empty_segments(segments: Iterable[Segment]) -> tuple[NonEmptySegment, ...]:
    """Return the segments with voxels, numbered from 1 in their order. Each plane is read once."""
    result: list[NonEmptySegment] = []
    for segment in segments:
        mask = np.ascontiguousarray(segment.mask).view(np.bool_)
        packed = {index: np.packbits(plane, bitorder="little") for index, plane in enumerate(mask) if plane.any()}
        if packed:
            counts = np.zeros(len(mask), dtype=np.int64)
            counts[list(packed)] = [np.bitwise_count(plane).sum() for plane in packed.values()]
            result.append(NonEmptySegment(len(result) + 1, segment, mask, packed, counts))
    return tuple(result)


def overlaps(segments: Sequence[NonEmptySegment]) -> bool:
    """Return whether two segments share a voxel."""
    unions: dict[int, Packed] = {}
    for segment in segments:
        for index, plane in segment.packed.items():
            if index not in unions:
                unions[index] = plane
            elif (unions[index] & plane).any():
                return True
            else:
                unions[index] = unions[index] | plane
    return False


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """The frames of a SEG. contents: (segment number, None in a label map; slice of the grid) of each frame."""

    labelmap: bool
    overlapping: bool
    contents: tuple[tuple[int | None, int], ...]
    pixels: bytes


def encode_frames(segments: Sequence[NonEmptySegment], *, labelmap: bool) -> EncodedFrames:
    """Return the frames of the segments, without empty frames.

    BINARY: one frame per segment and slice, one bit per pixel, frames joined without gaps (PS3.5 8.1.1).
    LABELMAP: one frame per slice, one byte per pixel; overlapping segments, or more than 255, become BINARY.
    """
    overlapping = overlaps(segments)
    if labelmap and not overlapping and len(segments) <= MOST_LABELS:
        slices = sorted({index for segment in segments for index in segment.slices})
        pixels = b"".join(_labels(segments, index).tobytes() for index in slices)
        return EncodedFrames(True, False, tuple((None, index) for index in slices), pixels)
    contents = tuple((segment.number, index) for segment in segments for index in segment.slices)
    return EncodedFrames(False, overlapping, contents, _join_planes(segments))


def _labels(segments: Sequence[NonEmptySegment], index: int) -> npt.NDArray[np.uint8]:
    labels = np.zeros(segments[0].mask.shape[1:], dtype=np.uint8)
    for segment in segments:
        labels[segment.mask[index]] = segment.number
    return labels


def _join_planes(segments: Sequence[NonEmptySegment]) -> bytes:
    """Return the bits of all planes as one stream, without padding between planes."""
    planes = [plane for segment in segments for plane in segment.packed.values()]
    pixels = segments[0].mask[0].size
    if pixels % 8:
        planes = [np.unpackbits(plane, count=pixels, bitorder="little") for plane in planes]
        return np.packbits(np.concatenate(planes), bitorder="little").tobytes()
    return b"".join(plane.data for plane in planes)
