"""Whether left and right, as a model says them, agree with where things lie in the patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.dicom.objects.masks import DrawnSegment
from orchestrator.dicom.result.source import Source
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import Finding, Region

MIDLINE_MM = 10.0
"""How far on the wrong side a centre may lie: patients are never centred to the millimetre."""

_SIDES = {concepts.LEFT.value: ("L", 1.0, "left"), concepts.RIGHT.value: ("R", -1.0, "right")}
_IMAGE_SIDES = ("ImageLaterality", "FrameLaterality", "Laterality")


def check_sides(source: Source, segments: Sequence[DrawnSegment], findings: Iterable[Finding]) -> None:
    """Return when no side contradicts the images.

    The patient's left is +x in LPS (PS3.3 C.7.6.2.1.1), prone and feet-first included. Images without
    a place in the patient say their side themselves (Image Laterality, PS3.3 C.8.11.7). Raises InvalidResult.
    """
    centres: dict[str, float] = {}
    for drawn in segments:
        segment, name = drawn.segment, f"segment {drawn.segment.label!r}"
        if _side(segment.laterality) is not None:
            centre = _centre(source, drawn)
            _check(segment.laterality, centre, _marked_side(source, int(np.argmax(drawn.counts))), name)
            if centre is not None:
                centres[segment.label] = centre
    _check_pairs(segments, centres)
    for number, finding in enumerate(findings, 1):
        _check_finding(source, finding, f"finding {number}", segments)


def _check_finding(source: Source, finding: Finding, name: str, segments: Sequence[DrawnSegment]) -> None:
    if _side(finding.laterality) is None:
        return
    for drawn in segments:
        if drawn.segment.label == finding.segment:
            marked = _marked_side(source, int(np.argmax(drawn.counts)))
            _check(finding.laterality, _centre(source, drawn), marked, name)
    for region in finding.regions:
        _check(finding.laterality, _region_centre(source, region), _marked_side(source, region.slice), name)
    for image in finding.images:
        _check(finding.laterality, None, _marked_side(source, image.slice), name)
    _check(finding.laterality, None, str(source.sides.get("Laterality", "")), name)


def _check(laterality: Code | None, x_mm: float | None, marked: str, name: str) -> None:
    """Refuse a side that the mark on the image or the place in the patient contradicts."""
    letter, sign, word = _SIDES[laterality.value] if laterality is not None else ("", 0.0, "")
    if marked in {"L", "R"} and marked != letter:
        raise InvalidResult(f"{name} is said to be {word}, but its image is marked {marked}")
    if x_mm is not None and sign * x_mm < -MIDLINE_MM:
        other = "right" if word == "left" else "left"
        raise InvalidResult(f"{name} is said to be {word}, but lies {abs(x_mm):.0f} mm to the patient's {other}")


def _check_pairs(segments: Sequence[DrawnSegment], centres: dict[str, float]) -> None:
    """Refuse a left one that lies to the right of its right twin, however the patient lies in the scanner."""
    sides: dict[tuple[str, str], dict[str, float]] = {}
    for drawn in segments:
        side = _side(drawn.segment.laterality)
        if side is not None and drawn.segment.label in centres:
            kind = (drawn.segment.type.value, drawn.segment.anatomy.value if drawn.segment.anatomy else "")
            if kind in sides and side in sides[kind]:
                return  # several of a side: no pair
            sides.setdefault(kind, {})[side] = centres[drawn.segment.label]
    for kind, centre in sides.items():
        if "L" in centre and "R" in centre and centre["L"] < centre["R"]:
            raise InvalidResult(f"the left and the right segment of type {kind[0]} have changed places")


def _side(laterality: Code | None) -> str | None:
    """Return L or R, None for anything else."""
    return None if laterality is None or laterality.value not in _SIDES else _SIDES[laterality.value][0]


def _marked_side(source: Source, index: int) -> str:
    header = source.image_header(source.grid.frames[index])
    return next((str(header.get(keyword)) for keyword in _IMAGE_SIDES if header.get(keyword)), "")


def _centre(source: Source, drawn: DrawnSegment) -> float | None:
    """Return x (LPS mm) of a segment's centre of mass, None without patient geometry."""
    present = drawn.mask[drawn.slices[0] : drawn.slices[-1] + 1]
    flat: npt.NDArray[np.int32] = np.add.reduce(present, axis=0, dtype=np.int32)
    weights = (drawn.counts, flat.sum(axis=1), flat.sum(axis=0))
    return _x([float(np.average(np.arange(len(weight)), weights=weight)) for weight in weights], source)


def _region_centre(source: Source, region: Region) -> float | None:
    row, column = np.asarray(region.points, dtype=np.float64).mean(axis=0)
    return _x([float(region.slice), float(row), float(column)], source)


def _x(index: Sequence[float], source: Source) -> float | None:
    place = source.lps(index)
    return None if place is None else float(place[0])
