"""Where on the images each entry of a result is: the slice that shows it best, and the box round it there."""

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
    """A slice, from 0, and the box round what it shows; None where the whole image does."""

    slice: int
    box: Box | None = None


def spots_of(
    documents: Sequence[Dataset],
    places: Sequence[Place],
    outlines: Sequence[OutlineMark],
    segmentations: Sequence[SegmentationMarks],
) -> Mapping[str, Spot]:
    """Return the spot of each entry of the summary that has one: ``findings/0``, ``measurements/2``.

    places: which image each slice is.
    """
    slices = {place: index for index, place in enumerate(places)}
    segments = {each.tracking_uid: (all_of_it, each) for all_of_it in segmentations for each in all_of_it.segments}
    found: dict[str, Spot] = {}
    for entry, images in _whole_images(documents).items():
        if shown := [slices[place] for place in images if place in slices]:
            found[entry] = Spot(shown[0])
    for entry, uid in tracking(documents).items():
        drawn = [mark for mark in outlines if mark.tracking_uid == uid and mark.place in slices]
        if drawn:
            surest = max(drawn, key=lambda mark: mark.score or 0.0)
            found[entry] = Spot(slices[surest.place], _round(surest))
        elif uid in segments and (spot := _largest(*segments[uid], slices)):
            found[entry] = spot
    return found


def _whole_images(documents: Sequence[Dataset]) -> Mapping[str, list[Place]]:
    """Return the images that show a finding as a whole, the best first."""
    named: dict[str, list[Place]] = {}
    for place, finding in enumerate(summary_of(documents).findings):
        images = finding.get("images", ())
        if isinstance(images, Sequence):
            named[f"findings/{place}"] = [(str(each["sop_uid"]), int(each["frame"])) for each in images]
    return named


def _round(mark: OutlineMark) -> Box:
    (top, left), (bottom, right) = mark.points.min(axis=0), mark.points.max(axis=0)
    return float(top), float(left), float(bottom), float(right)


def _largest(marks: SegmentationMarks, segment: SegmentMark, slices: Mapping[Place, int]) -> Spot | None:
    """Return the slice with the largest cross-section of a segment, None where it is on none of these."""
    drawn = ((slices[place], marks.mask(segment, place)) for place in segment.frames if place in slices)
    masks = {index: mask for index, mask in drawn if mask is not None and mask.any()}
    if not masks:
        return None
    index = max(masks, key=lambda index: int(masks[index].sum()))
    rows, columns = np.nonzero(masks[index])
    return Spot(index, (float(rows.min()), float(columns.min()), float(rows.max()), float(columns.max())))
