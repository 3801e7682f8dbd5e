"""How far an edited segmentation agrees with the AI's: Dice of each segment, on the images that both lie on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation
from pydicom import Dataset

from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.read.header import read_whole
from orchestrator.dicom.review.statement import as_unreadable
from orchestrator.domain.errors import NotComparable

Place = tuple[str, int]
"""SOP Instance UID and frame number of a source image; frame 1 for a single-frame image."""
Mask = npt.NDArray[np.bool_]
_TOLERANCE_MM = 0.01
_GEOMETRY = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)


def agreement_between(ours: Path, edited: Path) -> Mapping[str, float]:
    """Return the agreement of two files.

    Raises NotComparable, UnreadableFile, for ours too where its file is gone.
    """
    with as_unreadable("SEG"):
        return agreement(read_whole(ours), read_whole(edited))


def agreement(ours: Dataset, edited: Dataset) -> Mapping[str, float]:
    """Return the label of each segment of ours -> Dice (0 to 1) with the edited one; 0 for one that is left out.

    Segments are the same by tracking UID, by label, or by a type (CID 7151) that each side has once.
    Raises NotComparable where they lie on other images or another grid, or where no segment is the same.
    """
    mine, theirs = _Segments.read(ours), _Segments.read(edited)
    _check_grid(mine, theirs)
    same = _same(mine, theirs)
    if not same:
        raise NotComparable("no segment has the tracking UID, the label or the type of one of the model's")
    return {label: _dice(mine, number, theirs, same.get(number)) for number, label in mine.labels.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Segments:
    """A SEG by segment number. frames: segment number -> place -> index of the frame, from 0."""

    image: Segmentation
    labels: Mapping[int, str]
    tracking: Mapping[int, str]
    types: Mapping[int, str]
    frames: Mapping[int, Mapping[Place, int]]

    @classmethod
    def read(cls, seg: Dataset) -> _Segments:
        if seg.get("SegmentationType") == "FRACTIONAL":
            raise NotComparable("a fractional segmentation has no outline")
        image = Segmentation.from_dataset(seg, copy=False)
        described = {number: image.get_segment_description(number) for number in image.segment_numbers}
        return cls(
            image,
            {number: each.segment_label for number, each in described.items()},
            {number: each.tracking_uid or "" for number, each in described.items()},
            {number: _coded(each.segmented_property_type) for number, each in described.items()},
            _frames(image),
        )

    @property
    def places(self) -> Mapping[Place, int]:
        """Every place that a frame shows, with one of these frames."""
        return {place: index for frames in self.frames.values() for place, index in frames.items()}

    def mask(self, number: int, place: Place) -> Mask | None:
        """Return (row, column) of a segment on an image, None where it has no voxel there."""
        index = self.frames.get(number, {}).get(place)
        if index is None:
            return None
        stored: npt.NDArray[Any] = self.image.get_stored_frame(index + 1)
        return np.asarray(stored == (number if _is_label_map(self.image) else 1))


def _frames(image: Segmentation) -> Mapping[int, Mapping[Place, int]]:
    found: dict[int, dict[Place, int]] = {int(number): {} for number in image.segment_numbers}
    for index in range(image.number_of_frames):
        place = _place(image, index)
        for number in found if _is_label_map(image) else [_segment_of(image, index)]:
            if place in found[number]:
                raise NotComparable(f"two frames show segment {number} on the same image")
            found[number][place] = index
    return found


def _segment_of(image: Segmentation, index: int) -> int:
    return int(_group(image, index, "SegmentIdentificationSequence")[0].ReferencedSegmentNumber)


def _place(image: Segmentation, index: int) -> Place:
    """Return the only image that a frame was drawn on."""
    derivations = _group(image, index, "DerivationImageSequence")
    sources = [source for each in derivations for source in each.get("SourceImageSequence", [])]
    if len(sources) != 1:
        raise NotComparable(f"frame {index + 1} names {len(sources)} source images, expected the one it lies on")
    return str(sources[0].ReferencedSOPInstanceUID), sr_tree.frame_number(sources[0])


def _group(image: Segmentation, index: int, keyword: str) -> Any:
    """Return a functional group of a frame, its own or the one that all share; empty where there is none."""
    own = image.PerFrameFunctionalGroupsSequence[index]
    shared = image.get("SharedFunctionalGroupsSequence") or [Dataset()]
    return own.get(keyword) or shared[0].get(keyword) or []


def _check_grid(mine: _Segments, theirs: _Segments) -> None:
    """Raise NotComparable where the pixels of both do not lie on each other."""
    sizes = [(each.image.Rows, each.image.Columns) for each in (mine, theirs)]
    if sizes[0] != sizes[1]:
        (rows, columns), found = sizes
        raise NotComparable(f"its frames have {found[0]} x {found[1]} pixels, the model's {rows} x {columns}")
    known = _source_images(mine.image)
    if strange := {place[0] for place in theirs.places} - known:
        raise NotComparable(f"{len(strange)} of its source images are none of the model's")
    ours = mine.places
    for place, index in theirs.places.items():
        if place in ours:
            _check_plane(mine.image, ours[place], theirs.image, index)


def _check_plane(ours: Segmentation, index: int, theirs: Segmentation, other: int) -> None:
    for sequence, keyword in _GEOMETRY:
        here, there = _numbers(ours, index, sequence, keyword), _numbers(theirs, other, sequence, keyword)
        if here and there and not np.allclose(here, there, rtol=0.0, atol=_TOLERANCE_MM):
            raise NotComparable(f"frame {other + 1} has another {keyword} than the model's on the same image")


def _numbers(image: Segmentation, index: int, sequence: str, keyword: str) -> list[float]:
    """Return an attribute of a functional group of a frame, nothing where it has none."""
    found = _group(image, index, sequence)
    return [float(value) for value in found[0].get(keyword) or []] if found else []


def _source_images(image: Segmentation) -> frozenset[str]:
    """Return the images of the model's whole grid, those without a voxel too."""
    return frozenset(
        str(reference.ReferencedSOPInstanceUID)
        for series in image.get("ReferencedSeriesSequence", [])
        for reference in series.get("ReferencedInstanceSequence", [])
    )


def _same(mine: _Segments, theirs: _Segments) -> Mapping[int, int]:
    """Return segment number of ours -> that of theirs; a name that one side has twice names nothing."""
    same: dict[int, int] = {}
    for names, others in ((mine.tracking, theirs.tracking), (mine.labels, theirs.labels), (mine.types, theirs.types)):
        for number, name in names.items():
            found = [other for other, each in others.items() if each == name]
            alone = len(found) == 1 and list(names.values()).count(name) == 1
            if name and alone and number not in same and found[0] not in same.values():
                same[number] = found[0]
    return same


def _dice(mine: _Segments, number: int, theirs: _Segments, other: int | None) -> float:
    """Return 2 |A and B| / (|A| + |B|) over all images; 1 where both are empty."""
    common = total = 0
    for place in mine.frames[number].keys() | (theirs.frames[other].keys() if other is not None else set()):
        ours, edited = mine.mask(number, place), None if other is None else theirs.mask(other, place)
        total += sum(int(mask.sum()) for mask in (ours, edited) if mask is not None)
        if ours is not None and edited is not None:
            common += int((ours & edited).sum())
    return 2 * common / total if total else 1.0


def _coded(code: Any) -> str:
    return f"{code.scheme_designator} {code.value}"


def _is_label_map(image: Segmentation) -> bool:
    return str(image.SegmentationType) == "LABELMAP"
