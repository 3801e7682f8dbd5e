"""The result of a model on one grid, with its SEG and maps: the input of report and key images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydicom import Dataset

from orchestrator.dicom.objects.masks import NonEmptySegment
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.domain.result import Finding, ImageScore, Presence, Region, Result

MOST_PLACES = 50
"""Largest number of regions, and of images, written per finding; a comment states the total."""

_Place = TypeVar("_Place", Region, ImageScore)


@dataclass(frozen=True, slots=True)
class GridResult:
    """One grid with the Result on it.

    segments: the segments with voxels. seg: their SEG, None without segments. maps: the Parametric Maps.
    """

    source: SourceGrid
    result: Result
    segments: tuple[NonEmptySegment, ...]
    seg: Dataset | None
    maps: tuple[Dataset, ...]

    def findings_of(self, segment: NonEmptySegment) -> tuple[Finding, ...]:
        """Return the findings that refer to this segment."""
        return tuple(finding for finding in self.result.findings if finding.segment == segment.segment.label)

    def is_shown(self, finding: Finding) -> bool:
        """Return whether the finding refers to a segment with voxels."""
        return any(segment.segment.label == finding.segment for segment in self.segments)

    @property
    def unplaced_findings(self) -> tuple[Finding, ...]:
        """The findings without a region and without a segment with voxels."""
        return tuple(finding for finding in self.result.findings if not finding.regions and not self.is_shown(finding))

    @property
    def has_place(self) -> bool:
        """Whether anything can be drawn on an image."""
        return bool(self.segments) or any(finding.regions for finding in self.result.findings)

    @property
    def is_negative(self) -> bool:
        """Whether the model found nothing: no voxels, no measurements, and all findings absent.

        A result of maps alone is not negative. Maps beside segments or findings do not matter.
        """
        return (
            not self.segments
            and not self.result.measurements
            and not self.is_maps_only
            and all(finding.presence is Presence.ABSENT for finding in self.result.findings)
        )

    @property
    def is_maps_only(self) -> bool:
        """Whether the result consists of maps only."""
        return bool(self.result.maps) and not self.result.segments and not self.result.findings

    @property
    def empty_labels(self) -> tuple[str, ...]:
        """Labels of the segments without voxels."""
        labels = {segment.segment.label for segment in self.segments}
        return tuple(segment.label for segment in self.result.segments if segment.label not in labels)

    def frame(self, index: int) -> FrameReference:
        """Return the image of a slice of the grid."""
        return self.source.grid.frames[index]


def best_scored(places: Sequence[_Place]) -> list[_Place]:
    """Return at most 50 places, the highest score first; places without a score come last, in their order."""
    ranking = sorted(places, key=lambda place: -1.0 if place.score is None else place.score, reverse=True)
    return ranking[:MOST_PLACES]


def omission_notes(finding: Finding) -> list[str]:
    """Return a sentence for each list of places of which only the best are written."""
    lists = {"places found": finding.regions, "images show it": finding.images}
    return [
        f"{len(places)} {what}, the best {MOST_PLACES} by score are listed"
        for what, places in lists.items()
        if len(places) > MOST_PLACES
    ]
