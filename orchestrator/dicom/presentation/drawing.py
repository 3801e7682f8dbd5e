"""What an answer draws on its images: outlines and points with their words, each in the layer of its colour."""

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
"""How many cross-sections are outlined; of more (a hundred organs of a whole body), the largest of each segment."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Whose drawings these are, and their colour, RGB 0..255."""

    label: str
    colour: Colour


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What one layer has on one image.

    place: the slice. shapes: each (n, 2) as (row, column), pixel centres at whole numbers, closed; one = a point.
    tracking: identifier and UID of the segment, None for what is in no SEG.
    """

    place: int
    layer: Layer
    shapes: Sequence[Points]
    words: str
    tracking: tuple[str, str] | None = None


def drawings(grid_result: GridResult, uids: DerivedUids) -> list[Drawing]:
    """Return all that the answer has to draw: segments on each of their slices, the regions of its findings."""
    planes = sum(len(segment.slices) for segment in grid_result.segments)
    drawn = [
        drawing
        for segment in grid_result.segments
        for drawing in _of_segment(grid_result, segment, uids, everywhere=planes <= MOST_PLANES)
    ]
    kinds = dict.fromkeys(finding.name.meaning for finding in grid_result.result.findings if finding.regions)
    colours = {kind: COLOURS[(len(grid_result.segments) + number) % len(COLOURS)] for number, kind in enumerate(kinds)}
    for finding in grid_result.result.findings:
        layer = Layer(finding.name.meaning, colours.get(finding.name.meaning, COLOURS[0]))
        drawn += [_of_region(finding, region, layer) for region in best_scored(finding.regions)]
    return drawn


def _of_segment(
    grid_result: GridResult, drawn: NonEmptySegment, uids: DerivedUids, *, everywhere: bool
) -> Iterator[Drawing]:
    label, volume = drawn.segment.label, grid_result.source.millilitres(drawn.voxels)
    words = label if volume is None else f"{label}, {volume:,.4g} ml"
    tracking = (tracking_id(grid_result.source, label), tracking_uid(grid_result.source, drawn, uids))
    for place in drawn.slices if everywhere else [largest_cross_section(drawn)]:
        yield Drawing(place, Layer(label, drawn.colour), list(outlines(drawn.mask[place])), words, tracking)


def _of_region(finding: Finding, region: Region, layer: Layer) -> Drawing:
    name = region.label or finding.name.meaning
    words = name if region.score is None else f"{name}, score {region.score:.2f}"
    return Drawing(region.slice, layer, [np.asarray(region.points, dtype=np.float64)], words)
