"""Checks the laterality in a result against the position of segments and findings in the patient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from orchestrator.dicom.objects.masks import NonEmptySegment
from orchestrator.dicom.result.source_grid import SourceGrid, patient_orientation
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import Finding

MIDLINE_MM = 10.0
"""Tolerance for a centre on the wrong side, mm: patients are not centred exactly."""

MIDLINE_SHARE = 0.1
"""The same on a radiograph, as a share of its width."""

_SIDES = {concepts.LEFT.value: ("L", 1.0, "left"), concepts.RIGHT.value: ("R", -1.0, "right")}
_IMAGE_SIDES = ("ImageLaterality", "FrameLaterality", "Laterality")
_OF_ONE_SIDE = frozenset(
    [
        *("ANKLE", "ARM", "BREAST", "CALCANEUS", "CLAVICLE", "EAR", "ELBOW", "EXTREMITY", "EYE", "FEMUR", "FIBULA"),
        *("FINGER", "FOOT", "FOREARM", "HAND", "HEEL", "HIP", "HUMERUS", "JOINT", "KIDNEY", "KNEE", "LEG", "ORBIT"),
        *("PATELLA", "RADIUS", "SCAPULA", "SHOULDER", "THIGH", "THUMB", "TIBIA", "TOE", "TOOTH", "ULNA", "UPPERARM"),
        "WRIST",
    ]
)
"""Words of Body Part Examined: the middle of an image of these is not the middle of the patient."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How far something lies to the patient's left, and the tolerance, both in mm or as a share of the image."""

    leftward: float
    tolerance: float
    in_words: str


def check_sides(source: SourceGrid, segments: Sequence[NonEmptySegment], findings: Iterable[Finding]) -> None:
    """Check that no laterality contradicts the images.

    The patient's left is +x in LPS (PS3.3 C.7.6.2.1.1), also prone and feet-first. Images without patient geometry
    state their side (Image Laterality, PS3.3 C.8.11.7), or which way their rows and columns run (Patient Orientation,
    PS3.3 C.7.6.1.1.1): there the middle of the image is taken as that of the patient.
    Raises InvalidResult.
    """
    centres: dict[str, float] = {}
    for segment in segments:
        label, laterality = segment.segment.label, segment.segment.laterality
        if _side(laterality) is not None:
            centre = _centre(source, segment)
            _check(laterality, centre, _image_side(source, int(np.argmax(segment.counts))), f"segment {label!r}")
            if centre is not None:
                centres[label] = centre.leftward
    if len(source.grid.frames) == 1 or source.grid.positions is not None:
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
        place = _place([float(region.slice), float(row), float(column)], source)
        _check(finding.laterality, place, _image_side(source, region.slice), name)
    for image in finding.images:
        _check(finding.laterality, None, _image_side(source, image.slice), name)
    _check(finding.laterality, None, str(source.sides.get("Laterality", "")), name)


def _check(laterality: Code | None, place: _Place | None, image_side: str, name: str) -> None:
    """Refuse a laterality that contradicts the laterality of the image or the position in the patient."""
    letter, sign, word = _SIDES[laterality.value] if laterality is not None else ("", 0.0, "")
    if image_side in {"L", "R"} and image_side != letter:
        raise InvalidResult(f"{name} has laterality {word}, but Image Laterality is {image_side}")
    if place is not None and sign * place.leftward < -place.tolerance:
        raise InvalidResult(f"{name} has laterality {word}, but {place.in_words}")


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


def _centre(source: SourceGrid, segment: NonEmptySegment) -> _Place | None:
    """Return the place of a segment's centre of mass; on radiographs, on the one where it is largest."""
    extent = segment.mask[segment.slices[0] : segment.slices[-1] + 1]
    if source.grid.positions is None:
        slice_ = int(np.argmax(segment.counts))
        row, column = np.argwhere(segment.mask[slice_]).mean(axis=0)
        return _place([slice_, float(row), float(column)], source)
    flat: npt.NDArray[np.int32] = np.add.reduce(extent, axis=0, dtype=np.int32)
    weights = (segment.counts, flat.sum(axis=1), flat.sum(axis=0))
    return _place([float(np.average(np.arange(len(weight)), weights=weight)) for weight in weights], source)


def _place(index: Sequence[float], source: SourceGrid) -> _Place | None:
    """Return the place of (slice, row, column); None where nothing says where the patient's left is."""
    lps = source.lps(index)
    if lps is None:
        return _place_on_radiograph(index, source)
    x_mm = float(lps[0])
    return _Place(x_mm, MIDLINE_MM, f"lies {abs(x_mm):.0f} mm to the patient's {_side_word(x_mm)}")


def _place_on_radiograph(index: Sequence[float], source: SourceGrid) -> _Place | None:
    header = source.image_header(source.grid.frames[int(index[0])])
    letters = patient_orientation(header)
    axis = next((axis for axis, each in enumerate(letters) if each[:1] in {"L", "R"}), None)
    if axis is None or not _shows_midline(source, header, int(index[0])):
        return None
    at, length = ((index[2], source.grid.shape[2]), (index[1], source.grid.shape[1]))[axis]
    share = (at - (length - 1) / 2) / length
    leftward = share if letters[axis].startswith("L") else -share
    side = f"lies in the half of the image on the patient's {_side_word(leftward)}"
    return _Place(leftward, MIDLINE_SHARE, f"{side} (Patient Orientation is {'/'.join(letters)})")


def _shows_midline(source: SourceGrid, header: Dataset, slice_: int) -> bool:
    """Return whether the middle of an image is that of the patient: not on an image of one side."""
    if (side := _image_side(source, slice_)) == "B":
        return True
    words = re.findall("[A-Z]+", str(header.get("BodyPartExamined", "")).upper())
    return side not in {"L", "R"} and _OF_ONE_SIDE.isdisjoint(words)


def _side_word(leftward: float) -> str:
    return "left" if leftward > 0 else "right"
