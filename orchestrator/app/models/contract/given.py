"""What a model gives: as its manifest declares it, and as it was seen in its results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.code import Code
from orchestrator.domain.result import Finding, HeatMap, Result, Segment
from orchestrator.domain.unit import shown_unit

if TYPE_CHECKING:
    from orchestrator.worker.manifest.output import FindingOf, MapOf, SegmentOf
    from orchestrator.worker.manifest.schema import Manifest


@dataclass(frozen=True, slots=True)
class Given:
    """A segment, a map, a finding or a measurement; two that are equal are one thing.

    label: of the segment, also of the one that was measured, or the map's name; codes: what it is, then its
    category, site and side.
    unit: as people read it.
    """

    kind: str
    label: str
    codes: tuple[Code, ...]
    unit: str = ""


def declared(manifest: Manifest) -> Iterator[Given]:
    """Yield the segments, maps and findings that a model.toml names."""
    yield from _coded(manifest.segment, manifest.finding)
    yield from map(_map, manifest.map)


def seen(result: Result) -> Iterator[Given]:
    """Yield what a result holds."""
    yield from _coded(result.segments, result.findings)
    yield from map(_map, result.maps)
    for item in result.measurements:
        yield Given("measurement", item.segment or "", (item.name,), shown_unit(item.unit))


def _map(heat: HeatMap | MapOf) -> Given:
    return Given("map", heat.name, () if heat.quantity is None else (heat.quantity,), shown_unit(heat.unit))


def _coded(segments: Iterable[Segment | SegmentOf], findings: Iterable[Finding | FindingOf]) -> Iterator[Given]:
    for segment in segments:
        codes = (segment.type, segment.category, segment.anatomy, segment.laterality)
        yield Given("segment", segment.label, tuple(filter(None, codes)))
    for finding in findings:
        yield Given("finding", "", tuple(filter(None, (finding.name, finding.site, finding.laterality))))
