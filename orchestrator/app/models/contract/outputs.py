"""The outputs of a model: those that its manifest declares, and those in its results."""

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
class ModelOutput:
    """A segment, a map, a finding or a measurement.

    label: of the segment, or the name of the map; of a measurement, the label of its segment.
    codes: the type, then category, site and side. unit: as people write it.
    """

    kind: str
    label: str
    codes: tuple[Code, ...]
    unit: str = ""


def declared_outputs(manifest: Manifest) -> Iterator[ModelOutput]:
    """Yield the segments, maps and findings of a model.toml."""
    yield from _coded(manifest.segment, manifest.finding)
    yield from map(_map, manifest.map)


def result_outputs(result: Result) -> Iterator[ModelOutput]:
    """Yield the outputs in a result."""
    yield from _coded(result.segments, result.findings)
    yield from map(_map, result.maps)
    for item in result.measurements:
        yield ModelOutput("measurement", item.segment or "", (item.name,), shown_unit(item.unit))


def _map(heat: HeatMap | MapOf) -> ModelOutput:
    return ModelOutput("map", heat.name, () if heat.quantity is None else (heat.quantity,), shown_unit(heat.unit))


def _coded(segments: Iterable[Segment | SegmentOf], findings: Iterable[Finding | FindingOf]) -> Iterator[ModelOutput]:
    for segment in segments:
        codes = (segment.type, segment.category, segment.anatomy, segment.laterality)
        yield ModelOutput("segment", segment.label, tuple(filter(None, codes)))
    for finding in findings:
        yield ModelOutput("finding", "", tuple(filter(None, (finding.name, finding.site, finding.laterality))))
