"""Compares a radiologist's edited SEG with the model's SEG: one Dice coefficient per segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation
from pydicom import Dataset

from orchestrator.dicom.headers.header import read_whole
from orchestrator.dicom.objects import sr_tree
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
    """Return the agreement of two SEG files, see ``agreement``.

    Raises NotComparable; UnreadableFile where either file is missing or broken.
    """
    with as_unreadable("SEG"):
        return agreement(read_whole(ours), read_whole(edited))


def agreement(ours: Dataset, edited: Dataset) -> Mapping[str, float]:
    """Return label -> Dice (0 to 1) for each of our segments; 0 for a segment that the edited SEG lacks.

    Segments are matched by tracking UID, then by label, then by a type (CID 7151) that each SEG has once.
    Raises NotComparable where images or grid differ, or where no segment matches.
    """
    our_segments, edited_segments = _Segments.read(ours), _Segments.read(edited)
    _check_grid(our_segments, edited_segments)
    pairs = _match_segments(our_segments, edited_segments)
    if not pairs:
        raise NotComparable("no segment has the tracking UID, the label or the type of one of the model's segments")
    return {
        label: _dice(our_segments, number, edited_segments, pairs.get(number))
        for number, label in our_segments.labels.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Segments:
    """The segments of one SEG by segment number; frames: segment number -> place -> index of the frame, from 0."""

    image: Segmentation
    labels: Mapping[int, str]
    tracking: Mapping[int, str]
    types: Mapping[int, str]
    frames: Mapping[int, Mapping[Place, int]]

    @classmethod
    def read(cls, seg: Dataset) -> _Segments:
        if seg.get("SegmentationType") == "FRACTIONAL":
            raise NotComparable("a fractional segmentation has no outline to compare")
        image = Segmentation.from_dataset(seg, copy=False)
        descriptions = {number: image.get_segment_description(number) for number in image.segment_numbers}
        types = {number: each.segmented_property_type for number, each in descriptions.items()}
        return cls(
            image,
            {number: each.segment_label for number, each in descriptions.items()},
            {number: each.tracking_uid or "" for number, each in descriptions.items()},
            {number: f"{code.scheme_designator} {code.value}" for number, code in types.items()},
            _frames(image),
        )

    @property
    def places(self) -> Mapping[Place, int]:
        """Each place that a frame shows -> the index of one such frame."""
        return {place: index for frames in self.frames.values() for place, index in frames.items()}

    def mask(self, number: int, place: Place) -> Mask | None:
        """Return the mask (row, column) of a segment on one image; None where the segment has no voxel there."""
        index = self.frames.get(number, {}).get(place)
        if index is None:
            return None
        values: npt.NDArray[Any] = self.image.get_stored_frame(index + 1)
        return np.asarray(values == (number if _is_label_map(self.image) else 1))


def _frames(image: Segmentation) -> Mapping[int, Mapping[Place, int]]:
    frames: dict[int, dict[Place, int]] = {int(number): {} for number in image.segment_numbers}
    for index in range(image.number_of_frames):
        place = _place(image, index)
        for number in frames if _is_label_map(image) else [_segment_number(image, index)]:
            if place in frames[number]:
                raise NotComparable(f"two frames show segment {number} on the same image")
            frames[number][place] = index
    return frames


def _segment_number(image: Segmentation, index: int) -> int:
    return int(_group(image, index, "SegmentIdentificationSequence")[0].ReferencedSegmentNumber)


def _place(image: Segmentation, index: int) -> Place:
    """Return the one image that a frame lies on."""
    derivations = _group(image, index, "DerivationImageSequence")
    sources = [source for each in derivations for source in each.get("SourceImageSequence", [])]
    if len(sources) != 1:
        raise NotComparable(f"frame {index + 1} names {len(sources)} source images, expected exactly 1")
    return str(sources[0].ReferencedSOPInstanceUID), sr_tree.frame_number(sources[0])


def _group(image: Segmentation, index: int, keyword: str) -> Any:
    """Return a functional group of a frame: its own, else the shared one; empty where there is none."""
    own = image.PerFrameFunctionalGroupsSequence[index]
    shared = image.get("SharedFunctionalGroupsSequence") or [Dataset()]
    return own.get(keyword) or shared[0].get(keyword) or []


def _check_grid(ours: _Segments, edited: _Segments) -> None:
    """Raise NotComparable where the two SEGs do not lie on the same images and planes."""
    sizes = [(each.image.Rows, each.image.Columns) for each in (ours, edited)]
    if sizes[0] != sizes[1]:
        (rows, columns), (edited_rows, edited_columns) = sizes
        edited_size = f"{edited_rows} x {edited_columns}"
        raise NotComparable(f"the edited frames have {edited_size} pixels, the model's {rows} x {columns}")
    source_uids = _source_images(ours.image)
    if unknown := {place[0] for place in edited.places} - source_uids:
        count = "1 source image is" if len(unknown) == 1 else f"{len(unknown)} source images are"
        raise NotComparable(f"{count} not among the model's source images")
    our_places = ours.places
    for place, index in edited.places.items():
        if place in our_places:
            _check_plane(ours.image, our_places[place], edited.image, index)


def _check_plane(ours: Segmentation, index: int, edited: Segmentation, other: int) -> None:
    for sequence, keyword in _GEOMETRY:
        here, there = _numbers(ours, index, sequence, keyword), _numbers(edited, other, sequence, keyword)
        if here and there and not np.allclose(here, there, rtol=0.0, atol=_TOLERANCE_MM):
            raise NotComparable(f"{keyword} of frame {other + 1} differs from the model's frame on the same image")


def _numbers(image: Segmentation, index: int, sequence: str, keyword: str) -> list[float]:
    """Return the numbers of an attribute in a functional group of a frame; empty where it is absent."""
    items = _group(image, index, sequence)
    return [float(value) for value in items[0].get(keyword) or []] if items else []


def _source_images(image: Segmentation) -> frozenset[str]:
    """Return the UIDs of all source images of a SEG, also of images without a voxel."""
    return frozenset(
        str(reference.ReferencedSOPInstanceUID)
        for series in image.get("ReferencedSeriesSequence", [])
        for reference in series.get("ReferencedInstanceSequence", [])
    )


def _match_segments(ours: _Segments, edited: _Segments) -> Mapping[int, int]:
    """Return our segment number -> edited segment number; a name that occurs twice in either SEG matches nothing."""
    pairs: dict[int, int] = {}
    for names, others in ((ours.tracking, edited.tracking), (ours.labels, edited.labels), (ours.types, edited.types)):
        for number, name in names.items():
            matches = [other for other, other_name in others.items() if other_name == name]
            unique = len(matches) == 1 and list(names.values()).count(name) == 1
            if name and unique and number not in pairs and matches[0] not in pairs.values():
                pairs[number] = matches[0]
    return pairs


def _dice(ours: _Segments, number: int, edited: _Segments, other: int | None) -> float:
    """Return 2 |A and B| / (|A| + |B|) over all images; 1 where both are empty."""
    common = total = 0
    for place in ours.frames[number].keys() | (edited.frames[other].keys() if other is not None else set()):
        our_mask, edited_mask = ours.mask(number, place), None if other is None else edited.mask(other, place)
        total += sum(int(mask.sum()) for mask in (our_mask, edited_mask) if mask is not None)
        if our_mask is not None and edited_mask is not None:
            common += int((our_mask & edited_mask).sum())
    return 2 * common / total if total else 1.0


def _is_label_map(image: Segmentation) -> bool:
    return str(image.SegmentationType) == "LABELMAP"
