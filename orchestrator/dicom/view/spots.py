"""Locates each entry of a result on the images: its best slice and its bounding box there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from orchestrator.dicom.view.marks import OutlineMark, Place, SegmentationMarks, SegmentMark
from orchestrator.dicom.view.picture import Box
from orchestrator.dicom.view.summary import summary_of, tracking


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of one entry. slice: index from 0. box: bounding box, None for the whole image."""

    slice: int
    box: Box | None = None


def spots_of(
    documents: Sequence[Dataset],
    places: Sequence[Place],
    outlines: Sequence[OutlineMark],
    segmentations: Sequence[SegmentationMarks],
) -> Mapping[str, Spot]:
    """Return entry of the summary (``findings/0``, ``measurements/2``) -> its spot, for entries with a place.

    places: the image of each slice.
    """
    slices = {place: index for index, place in enumerate(places)}
    segments = {segment.tracking_uid: (marks, segment) for marks in segmentations for segment in marks.segments}
    spots: dict[str, Spot] = {}
    for entry, images in _whole_images(documents).items():
        if indices := [slices[place] for place in images if place in slices]:
            spots[entry] = Spot(indices[0])
    for entry, uid in tracking(documents).items():
        marks = [mark for mark in outlines if mark.tracking_uid == uid and mark.place in slices]
        if marks:
            best = max(marks, key=lambda mark: mark.score or 0.0)
            spots[entry] = Spot(slices[best.place], _bounding_box(best))
        elif uid in segments and (spot := _largest(*segments[uid], slices)):
            spots[entry] = spot
    return spots


def _whole_images(documents: Sequence[Dataset]) -> Mapping[str, list[Place]]:
    """Return entry -> images with a score for the whole image, the best first."""
    images_of: dict[str, list[Place]] = {}
    for place, finding in enumerate(summary_of(documents).findings):
        images = finding.get("images", ())
        if isinstance(images, Sequence):
            images_of[f"findings/{place}"] = [(str(each["sop_uid"]), int(each["frame"])) for each in images]
    return images_of


def _bounding_box(mark: OutlineMark) -> Box:
    (top, left), (bottom, right) = mark.points.min(axis=0), mark.points.max(axis=0)
    return float(top), float(left), float(bottom), float(right)


def _largest(marks: SegmentationMarks, segment: SegmentMark, slices: Mapping[Place, int]) -> Spot | None:
    """Return the slice with the largest cross-section of a segment, None where it is on none of the slices."""
    planes = ((slices[place], marks.mask(segment, place)) for place in segment.frames if place in slices)
    masks = {index: mask for index, mask in planes if mask is not None and mask.any()}
    if not masks:
        return None
    index = max(masks, key=lambda index: int(masks[index].sum()))
    rows, columns = np.nonzero(masks[index])
    return Spot(index, (float(rows.min()), float(columns.min()), float(rows.max()), float(columns.max())))
