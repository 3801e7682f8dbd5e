"""Selects the slices of a result that show it best, for key images and key object selections."""

from __future__ import annotations

import numpy as np

from orchestrator.dicom.objects.masks import NonEmptySegment
from orchestrator.dicom.result.grid_result import GridResult, best_scored
from orchestrator.domain.result import Finding, Presence
from orchestrator.domain.urgency import urgency_rank

MOST_SLICES = 8
"""Largest number of key slices per grid."""


def key_slices(grid_result: GridResult) -> tuple[int, ...]:
    """Return the slice that shows each finding best, without duplicates, the most urgent and surest finding first.

    If no finding has a place: the largest cross-section of each segment, the largest segment first.
    Without segments: the slice with the highest value of the first map. Empty if nothing was found.
    """
    findings = [finding for finding in grid_result.result.findings if finding.presence is not Presence.ABSENT]
    places = [place for finding in sorted(findings, key=_rank) for place in _slices(grid_result, finding)]
    segments = sorted(grid_result.segments, key=lambda segment: -segment.voxels)
    slices = places or [*map(largest_cross_section, segments)]
    if not slices and grid_result.result.maps:
        slices = [int(np.argmax(np.asarray(grid_result.result.maps[0].values).max(axis=(1, 2))))]
    return tuple(dict.fromkeys(slices))[:MOST_SLICES]


def largest_cross_section(segment: NonEmptySegment) -> int:
    """Return the slice on which the segment has most voxels; the first one if several have."""
    return int(np.argmax(segment.counts))


def _rank(finding: Finding) -> tuple[int, float]:
    return urgency_rank(finding), -(finding.score or 0.0)


def _slices(grid_result: GridResult, finding: Finding) -> list[int]:
    """Return the slice of the best region, else of the best image, else of the segment; empty without a place."""
    if finding.regions:
        return [best_scored(finding.regions)[0].slice]
    if finding.images:
        return [best_scored(finding.images)[0].slice]
    return [largest_cross_section(each) for each in grid_result.segments if each.segment.label == finding.segment]
