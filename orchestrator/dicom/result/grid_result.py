"""What a model said about one grid, with the SEG and the maps that show it: what the SR is written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydicom import Dataset

from orchestrator.dicom.objects.masks import DrawnSegment
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.source import Source
from orchestrator.domain.result import Finding, ImageScore, Presence, Region, Result

MOST_PLACES = 50
"""How many regions, and how many images, of one finding are written; the rest is counted in a comment."""

_Scored = TypeVar("_Scored", Region, ImageScore)


@dataclass(frozen=True, slots=True)
class Answer:
    """One grid, the Result on it, its segments that have voxels, their SEG (None where there is none) and its maps."""

    source: Source
    result: Result
    segments: tuple[DrawnSegment, ...]
    seg: Dataset | None
    maps: tuple[Dataset, ...]

    def findings_of(self, segment: DrawnSegment) -> tuple[Finding, ...]:
        """Return the findings that this segment shows."""
        return tuple(finding for finding in self.result.findings if finding.segment == segment.segment.label)

    def is_shown(self, finding: Finding) -> bool:
        """Return whether a segment with voxels shows the finding."""
        return any(segment.segment.label == finding.segment for segment in self.segments)

    @property
    def placeless_findings(self) -> tuple[Finding, ...]:
        """The findings that neither a region nor a segment with voxels shows."""
        return tuple(finding for finding in self.result.findings if not finding.regions and not self.is_shown(finding))

    @property
    def has_place(self) -> bool:
        """Whether anything can be drawn on an image."""
        return bool(self.segments) or any(finding.regions for finding in self.result.findings)

    @property
    def is_negative(self) -> bool:
        """Whether the model found nothing: no voxel, no measurement, nothing but absent findings.

        A map beside segments or findings changes nothing in that; alone it is what the model was asked for.
        """
        return (
            not self.segments
            and not self.result.measurements
            and not self.gives_maps_only
            and all(finding.presence is Presence.ABSENT for finding in self.result.findings)
        )

    @property
    def gives_maps_only(self) -> bool:
        """Whether the model states nothing but maps."""
        return bool(self.result.maps) and not self.result.segments and not self.result.findings

    @property
    def empty_labels(self) -> tuple[str, ...]:
        """Labels of the segments without a voxel."""
        drawn = {segment.segment.label for segment in self.segments}
        return tuple(segment.label for segment in self.result.segments if segment.label not in drawn)

    def frame(self, index: int) -> FrameReference:
        """Return the image that a slice of the grid was read from."""
        return self.source.grid.frames[index]


def best(places: Sequence[_Scored]) -> list[_Scored]:
    """Return the places to write, the highest score first; those without a score keep their order at the end."""
    ranked = sorted(places, key=lambda place: -1.0 if place.score is None else place.score, reverse=True)
    return ranked[:MOST_PLACES]


def left_out(finding: Finding) -> list[str]:
    """Return a sentence for what there is more of than is written."""
    said = {"places found": finding.regions, "images show it": finding.images}
    return [
        f"{len(places)} {what}, the best {MOST_PLACES} by score are listed"
        for what, places in said.items()
        if len(places) > MOST_PLACES
    ]
