"""Checks the laterality in a result against the position of segments and findings in the patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.dicom.objects.masks import NonEmptySegment
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import Finding

MIDLINE_MM = 10.0
"""Tolerance for a centre on the wrong side, mm: patients are not centred exactly."""

_SIDES = {concepts.LEFT.value: ("L", 1.0, "left"), concepts.RIGHT.value: ("R", -1.0, "right")}
_IMAGE_SIDES = ("ImageLaterality", "FrameLaterality", "Laterality")


def check_sides(source: SourceGrid, segments: Sequence[NonEmptySegment], findings: Iterable[Finding]) -> None:
    """Check that no laterality contradicts the images.

    The patient's left is +x in LPS (PS3.3 C.7.6.2.1.1), also prone and feet-first. Images without patient geometry
    state their side (Image Laterality, PS3.3 C.8.11.7).
    Raises InvalidResult.
    """
    centres: dict[str, float] = {}
    for segment in segments:
        label, laterality = segment.segment.label, segment.segment.laterality
        if _side(laterality) is not None:
            centre = _centre(source, segment)
            _check(laterality, centre, _image_side(source, int(np.argmax(segment.counts))), f"segment {label!r}")
            if centre is not None:
                centres[label] = centre
    _check_pairs(segments, centres)
    for number, finding in enumerate(findings, 1):
        _check_finding(source, finding, f"finding {number}", segments)


def _check_finding(source: SourceGrid, finding: Finding, name: str, segments: Sequence[NonEmptySegment]) -> None:
    if _side(finding.laterality) is None:
        return
    for segment in segments:
        if segment.segment.label == finding.segment:
            image_side = _image_side(source, int(np.argmax(segment.counts)))
            _check(finding.laterality, _centre(source, segment), image_side, name)
    for region in finding.regions:
        row, column = np.asarray(region.points, dtype=np.float64).mean(axis=0)
        x_mm = _x([float(region.slice), float(row), float(column)], source)
        _check(finding.laterality, x_mm, _image_side(source, region.slice), name)
    for image in finding.images:
        _check(finding.laterality, None, _image_side(source, image.slice), name)
    _check(finding.laterality, None, str(source.sides.get("Laterality", "")), name)


def _check(laterality: Code | None, x_mm: float | None, image_side: str, name: str) -> None:
    """Refuse a laterality that contradicts the laterality of the image or the position in the patient."""
    letter, sign, word = _SIDES[laterality.value] if laterality is not None else ("", 0.0, "")
    if image_side in {"L", "R"} and image_side != letter:
        raise InvalidResult(f"{name} has laterality {word}, but Image Laterality is {image_side}")
    if x_mm is not None and sign * x_mm < -MIDLINE_MM:
        other = "right" if word == "left" else "left"
        raise InvalidResult(f"{name} has laterality {word}, but lies {abs(x_mm):.0f} mm to the patient's {other}")


def _check_pairs(segments: Sequence[NonEmptySegment], centres: dict[str, float]) -> None:
    """Refuse a pair of segments whose left one lies to the right of the right one."""
    sides: dict[tuple[str, str], dict[str, float]] = {}
    for segment in segments:
        side = _side(segment.segment.laterality)
        if side is not None and segment.segment.label in centres:
            kind = (segment.segment.type.value, segment.segment.anatomy.value if segment.segment.anatomy else "")
            if kind in sides and side in sides[kind]:
                return  # several segments of one side: not a pair
            sides.setdefault(kind, {})[side] = centres[segment.segment.label]
    for kind, centre in sides.items():
        if "L" in centre and "R" in centre and centre["L"] < centre["R"]:
            raise InvalidResult(f"the left and the right segment of type {kind[0]} are swapped")


def _side(laterality: Code | None) -> str | None:
    """Return L or R, None for anything else."""
    return None if laterality is None or laterality.value not in _SIDES else _SIDES[laterality.value][0]


def _image_side(source: SourceGrid, index: int) -> str:
    header = source.image_header(source.grid.frames[index])
    return next((str(header.get(keyword)) for keyword in _IMAGE_SIDES if header.get(keyword)), "")


def _centre(source: SourceGrid, segment: NonEmptySegment) -> float | None:
    """Return x (LPS mm) of a segment's centre of mass, None without patient geometry."""
    extent = segment.mask[segment.slices[0] : segment.slices[-1] + 1]
    flat: npt.NDArray[np.int32] = np.add.reduce(extent, axis=0, dtype=np.int32)
    weights = (segment.counts, flat.sum(axis=1), flat.sum(axis=0))
    return _x([float(np.average(np.arange(len(weight)), weights=weight)) for weight in weights], source)


def _x(index: Sequence[float], source: SourceGrid) -> float | None:
    place = source.lps(index)
    return None if place is None else float(place[0])
