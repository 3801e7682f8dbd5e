"""Which images of an answer say most about it: key images are drawn of them, a key object lists them."""

from __future__ import annotations

import numpy as np

from orchestrator.dicom.objects.masks import DrawnSegment
from orchestrator.dicom.result.grid_result import Answer, best
from orchestrator.domain.result import Finding, HeatMap, Presence, Urgency

MOST_TELLING = 8
"""How many images of one grid: enough to look through at once."""


def telling(answer: Answer) -> tuple[int, ...]:
    """Return the slice that shows each finding best, the most urgent and the surest first.

    Where no finding has a place, those with the largest cross-sections of the segments, the largest segment
    first; without segments where the map that is drawn is highest; none where nothing was found. Each slice once.
    """
    said = [finding for finding in answer.result.findings if finding.presence is not Presence.ABSENT]
    found = [place for finding in sorted(said, key=_rank) for place in _slices(answer, finding)]
    segments = sorted(answer.segments, key=lambda segment: -segment.voxels)
    shown = found or [*map(largest_cross_section, segments)] or [_highest(heat) for heat in answer.result.maps[:1]]
    return tuple(dict.fromkeys(shown))[:MOST_TELLING]


def largest_cross_section(segment: DrawnSegment) -> int:
    """Return the slice on which the segment has most voxels, the first of several."""
    return int(np.argmax(segment.counts))


def _highest(heat: HeatMap) -> int:
    return int(np.argmax(np.asarray(heat.values).max(axis=(1, 2))))


def _rank(finding: Finding) -> tuple[int, float]:
    urgency = len(Urgency) if finding.urgency is None else list(Urgency).index(finding.urgency)
    return urgency, -(finding.score or 0.0)


def _slices(answer: Answer, finding: Finding) -> list[int]:
    """Return the slice of the best region, of the segment, or of the best image; none where there is no place."""
    if finding.regions:
        return [best(finding.regions)[0].slice]
    if finding.images:
        return [best(finding.images)[0].slice]
    return [largest_cross_section(each) for each in answer.segments if each.segment.label == finding.segment]
