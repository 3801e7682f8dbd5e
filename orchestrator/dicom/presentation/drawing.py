"""The drawings of a result on its images: outlines and points with labels, in one layer per colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.dicom.objects.masks import COLOURS, NonEmptySegment
from orchestrator.dicom.objects.outline import Points, outlines
from orchestrator.dicom.objects.provenance import DerivedUids
from orchestrator.dicom.result.grid_result import GridResult, best_scored
from orchestrator.dicom.result.key_slices import largest_cross_section
from orchestrator.dicom.seg.segmentation import tracking_id, tracking_uid
from orchestrator.domain.result import Finding, Region

Colour = tuple[int, int, int]

MOST_PLANES = 2_000
"""Largest number of cross-sections to outline. With more (a hundred organs), only the largest of each segment."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Label and colour (RGB 0..255) of drawings that belong together."""

    label: str
    colour: Colour


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """The drawing of one layer on one image.

    place: slice of the grid. shapes: each (n, 2), row and column, whole numbers are pixel centres; closed polygons,
    or a single point. text: label. tracking: Tracking ID and UID of the segment, None for a region.
    """

    place: int
    layer: Layer
    shapes: Sequence[Points]
    text: str
    tracking: tuple[str, str] | None = None


def drawings(grid_result: GridResult, uids: DerivedUids) -> list[Drawing]:
    """Return the drawings of a result: segments on each of their slices, regions of findings."""
    planes = sum(len(segment.slices) for segment in grid_result.segments)
    result = [
        drawing
        for segment in grid_result.segments
        for drawing in _segment_drawings(grid_result, segment, uids, everywhere=planes <= MOST_PLANES)
    ]
    kinds = dict.fromkeys(finding.name.meaning for finding in grid_result.result.findings if finding.regions)
    colours = {kind: COLOURS[(len(grid_result.segments) + number) % len(COLOURS)] for number, kind in enumerate(kinds)}
    for finding in grid_result.result.findings:
        layer = Layer(finding.name.meaning, colours.get(finding.name.meaning, COLOURS[0]))
        result += [_region_drawing(finding, region, layer) for region in best_scored(finding.regions)]
    return result


def _segment_drawings(
    grid_result: GridResult, segment: NonEmptySegment, uids: DerivedUids, *, everywhere: bool
) -> Iterator[Drawing]:
    label, volume = segment.segment.label, grid_result.source.millilitres(segment.voxels)
    text = label if volume is None else f"{label}, {volume:,.4g} ml"
    tracking = (tracking_id(grid_result.source, label), tracking_uid(grid_result.source, segment, uids))
    for place in segment.slices if everywhere else [largest_cross_section(segment)]:
        yield Drawing(place, Layer(label, segment.colour), list(outlines(segment.mask[place])), text, tracking)


def _region_drawing(finding: Finding, region: Region, layer: Layer) -> Drawing:
    name = region.label or finding.name.meaning
    text = name if region.score is None else f"{name}, score {region.score:.2f}"
    return Drawing(region.slice, layer, [np.asarray(region.points, dtype=np.float64)], text)
