"""Checks that a model's answer is a Result on the grid of its input; worker and host both check."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

import numpy as np

from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import (
    Finding,
    HeatMap,
    ImageScore,
    Measurement,
    Presence,
    Region,
    Result,
    Segment,
    Shape,
    Urgency,
)
from orchestrator.domain.unit import unit_fault

LATERALITIES = frozenset({concepts.LEFT, concepts.RIGHT, concepts.BILATERAL, concepts.UNILATERAL})
"""CID 244."""

MOST_POINTS = 8190
"""One SCOORD holds two FL of 4 bytes per point in at most 65,534 bytes (PS3.5 7.1.2); one point closes the polygon."""

_LABEL = re.compile(r"[^\x00-\x1f\x7f\\\ud800-\udfff]{1,64}")  # VR LO (PS3.5 6.2) in UTF-8
_CODE_VALUE = re.compile(r"[!-\[\]-~][ -\[\]-~]{0,63}")
_SCHEME = re.compile(r"[!-\[\]-~][ -\[\]-~]{0,15}")  # VR SH
_NOTE_LENGTH = 1024
_HALF_PIXEL = 0.5  # the border of the outermost pixel, measured from its centre
_FEWEST_CORNERS = 3
_LARGEST = float(np.finfo(np.float32).max)


def check_result(result: object, shape: tuple[int, int, int]) -> None:
    """Check that ``result`` is a valid Result for a volume of (slices, rows, columns).

    Checks types, masks and maps (shape, dtype, values), labels, codes, units, finite numbers and at
    each region lying inside its image. Raises InvalidResult naming the first fault.
    """
    if not isinstance(result, Result):
        _refuse(f"the model returned {type(result).__name__}, expected Result")
    labels = _check_segments(result.segments, shape)
    for number, finding in enumerate(result.findings, 1):
        _check_finding(finding, f"finding {number}", labels, shape)
    for number, measurement in enumerate(result.measurements, 1):
        _check_measurement(measurement, f"measurement {number}", labels)
    _check_maps(result.maps, shape)
    _check_notes(result.notes)


def _check_segments(segments: Iterable[Segment], shape: tuple[int, int, int]) -> Mapping[str, Segment]:
    """Return the segments by label."""
    segments_by_label: dict[str, Segment] = {}
    for number, segment in enumerate(segments, 1):
        if not isinstance(segment, Segment):
            _refuse(f"segment {number} is {type(segment).__name__}, expected Segment")
        _check_label(segment.label, f"segment {number}")
        if segment.label in segments_by_label:
            _refuse(f"two segments are labelled {segment.label!r}; a label names one segment")
        _check_mask(segment, shape)
        _check_segment_codes(segment)
        segments_by_label[segment.label] = segment
    return segments_by_label


def _check_mask(segment: Segment, shape: tuple[int, int, int]) -> None:
    mask, name = segment.mask, f"the mask of segment {segment.label!r}"
    if not isinstance(mask, np.ndarray):
        _refuse(f"{name} is {type(mask).__name__}, expected a numpy array")
    if mask.shape != tuple(shape):
        _refuse(f"{name} has the shape {mask.shape}, expected the volume's {tuple(shape)}")
    if mask.dtype not in (np.bool_, np.uint8):
        _refuse(f"{name} has the type {mask.dtype}, expected bool or uint8")
    if mask.dtype == np.uint8 and mask.size and (highest := int(mask.max())) > 1:
        _refuse(f"{name} holds the value {highest}, expected 0 and 1 only; give one Segment per label")


def _check_segment_codes(segment: Segment) -> None:
    name = f"segment {segment.label!r}"
    _check_code(segment.type, f"the type of {name}")
    _check_code(segment.category, f"the category of {name}")
    _check_site(segment.anatomy, segment.laterality, name)
    if segment.colour is not None and (
        len(segment.colour) != len("RGB") or not all(0 <= value <= 255 for value in segment.colour)
    ):
        _refuse(f"the colour of {name} is {segment.colour}, expected three numbers in 0..255")


def _check_finding(finding: Finding, name: str, segments: Mapping[str, Segment], shape: tuple[int, int, int]) -> None:
    if not isinstance(finding, Finding):
        _refuse(f"{name} is {type(finding).__name__}, expected Finding")
    _check_code(finding.name, f"the name of {name}")
    if not isinstance(finding.presence, Presence):
        _refuse(f"the presence of {name} is {finding.presence!r}, expected a Presence")
    if finding.urgency is not None and not isinstance(finding.urgency, Urgency):
        _refuse(f"the urgency of {name} is {finding.urgency!r}, expected an Urgency")
    _check_number(finding.score, f"the score of {name}", 0.0, 1.0)
    _check_number(finding.certainty_percent, f"the certainty of {name}", 0.0, 100.0)
    _check_site(finding.site, finding.laterality, name)
    _check_place(finding, name, segments)
    for number, region in enumerate(finding.regions, 1):
        _check_region(region, f"region {number} of {name}", shape)
    for number, image in enumerate(finding.images, 1):
        _check_image(image, f"image {number} of {name}", shape)
    if len({image.slice for image in finding.images}) < len(finding.images):
        _refuse(f"{name} names an image twice")


def _check_place(finding: Finding, name: str, segments: Mapping[str, Segment]) -> None:
    if finding.segment is not None:
        _check_known(finding.segment, name, segments)
    is_shown = finding.segment is not None and bool(segments[finding.segment].mask.any())
    if finding.presence is Presence.ABSENT and (is_shown or finding.regions or finding.images):
        _refuse(f"{name} is absent but has a place; remove its segment, regions or images")
    if finding.images and (finding.regions or finding.segment is not None):
        _refuse(f"{name} has a place and names whole images; give one of the two")
    if finding.presence is Presence.PRESENT and finding.segment is not None and not is_shown and not finding.regions:
        _refuse(f"{name} is present but its segment {finding.segment!r} is empty")


def _check_region(region: Region, name: str, shape: tuple[int, int, int]) -> None:
    if not isinstance(region, Region) or not isinstance(region.shape, Shape):
        _refuse(f"{name} is not a Region with a Shape")
    _check_slice(region.slice, name, shape)
    points = np.asarray(region.points)
    if points.ndim != 2 or points.shape[1] != len(("row", "column")) or points.dtype.kind not in "fiu":
        _refuse(f"{name} has points of shape {points.shape} and type {points.dtype}, expected numbers (n, 2)")
    if not _fits_shape(len(points), region.shape):
        _refuse(f"{name} is a {region.shape} with {len(points)} points")
    inside = (points >= -_HALF_PIXEL) & (points <= np.array(shape[1:]) - _HALF_PIXEL)  # NaN is never inside
    if not inside.all():
        _refuse(f"{name} leaves its image of {shape[1]} rows and {shape[2]} columns")
    _check_number(region.score, f"the score of {name}", 0.0, 1.0)
    if region.label:
        _check_label(region.label, name)


def _check_image(image: ImageScore, name: str, shape: tuple[int, int, int]) -> None:
    if not isinstance(image, ImageScore):
        _refuse(f"{name} is {type(image).__name__}, expected ImageScore")
    _check_slice(image.slice, name, shape)
    if image.score is None:
        _refuse(f"{name} has no score")
    _check_number(image.score, f"the score of {name}", 0.0, 1.0)


def _check_slice(index: int, name: str, shape: tuple[int, int, int]) -> None:
    if not 0 <= index < shape[0]:
        _refuse(f"{name} is on slice {index}, expected 0..{shape[0] - 1}")


def _fits_shape(count: int, shape: Shape) -> bool:
    return count == 1 if shape is Shape.POINT else _FEWEST_CORNERS <= count <= MOST_POINTS


def _check_measurement(measurement: Measurement, name: str, segments: Mapping[str, Segment]) -> None:
    if not isinstance(measurement, Measurement):
        _refuse(f"{name} is {type(measurement).__name__}, expected Measurement")
    _check_code(measurement.name, f"the name of {name}")
    if measurement.value is None:
        _refuse(f"{name} has no value")
    _check_number(measurement.value, f"the value of {name}", -math.inf, math.inf)
    _check_unit(measurement.unit, name)
    if measurement.segment is not None:
        _check_known(measurement.segment, name, segments)
    if measurement.method:
        _check_label(measurement.method, f"the method of {name}")


def _check_maps(maps: Iterable[HeatMap], shape: tuple[int, int, int]) -> None:
    names: set[str] = set()
    for number, heat in enumerate(maps, 1):
        if not isinstance(heat, HeatMap):
            _refuse(f"map {number} is {type(heat).__name__}, expected HeatMap")
        _check_label(heat.name, f"map {number}")
        name = f"map {heat.name!r}"
        if heat.name in names:
            _refuse(f"two maps are named {heat.name!r}; a name tells one map from another")
        names.add(heat.name)
        _check_values(heat.values, name, shape)
        _check_unit(heat.unit, name)
        if heat.quantity is not None:
            _check_code(heat.quantity, f"the quantity of {name}")
        if heat.range is not None:
            _check_range(heat.range, name)


def _check_values(values: object, name: str, shape: tuple[int, int, int]) -> None:
    """Refuse what is no number for each voxel; plane by plane, so that no second copy of a map is made."""
    if not isinstance(values, np.ndarray):
        _refuse(f"the values of {name} are {type(values).__name__}, expected a numpy array")
    if values.shape != tuple(shape):
        _refuse(f"the values of {name} have the shape {values.shape}, expected the volume's {tuple(shape)}")
    if values.dtype.kind not in "fiu":
        _refuse(f"the values of {name} have the type {values.dtype}, expected numbers such as float32")
    for plane in values:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            if not np.isfinite(plane.astype(np.float32, copy=False)).all():
                _refuse(f"{name} holds a value that is not a finite number (float32)")


def _check_range(ends: object, name: str) -> None:
    if not isinstance(ends, tuple | list) or len(ends) != len(("lowest", "highest")) or None in ends:
        _refuse(f"the range of {name} is {ends!r}, expected (lowest, highest)")
    for end in ends:
        _check_number(end, f"the range of {name}", -_LARGEST, _LARGEST)
    if not ends[0] < ends[1]:
        _refuse(f"the range of {name} is {ends[0]:g} to {ends[1]:g}, expected the lowest value first")


def _check_known(label: str, name: str, segments: Mapping[str, Segment]) -> None:
    if label not in segments:
        _refuse(f"{name} refers to segment {label!r}, known are {sorted(segments)}")


def _check_site(site: Code | None, laterality: Code | None, name: str) -> None:
    if site is not None:
        _check_code(site, f"the site of {name}")
    if laterality is not None:
        _check_code(laterality, f"the laterality of {name}")
        if (laterality.value, laterality.scheme) not in {(side.value, side.scheme) for side in LATERALITIES}:
            _refuse(f"the laterality of {name} is {laterality}, expected a code of CID 244")


def _check_code(code: object, name: str) -> None:
    """Refuse what is no complete code: value, scheme and meaning (PS3.3 table 8.8-1)."""
    if not isinstance(code, Code):
        _refuse(f"{name} is {type(code).__name__}, expected Code")
    texts = (code.value, code.scheme, code.meaning)
    if not all(isinstance(text, str) for text in texts):
        _refuse(f"{name} has a code whose value, scheme or meaning is not text")
    if not _CODE_VALUE.fullmatch(code.value) or not _SCHEME.fullmatch(code.scheme):
        _refuse(f"{name} is {code}, expected a code value and a scheme of at most 16 characters")
    if not _LABEL.fullmatch(code.meaning) or code.meaning != code.meaning.strip():
        _refuse(f"{name} is ({code.value}, {code.scheme}) without a meaning of 1 to 64 characters")


def _check_unit(unit: object, name: str) -> None:
    if not isinstance(unit, str):
        _refuse(f"the unit of {name} is not text")
    if fault := unit_fault(unit):
        _refuse(f"the unit of {name}: {fault}")


def _check_label(label: object, name: str) -> None:
    if not isinstance(label, str) or not _LABEL.fullmatch(label) or label != label.strip():
        _refuse(
            f"a label of {name} must be text of 1 to 64 characters without backslash, control characters "
            "and blanks at its ends"
        )


def _check_number(value: object, name: str, lowest: float, highest: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        _refuse(f"{name} is {value!r}, expected a finite number")
    if not lowest <= float(value) <= highest:
        _refuse(f"{name} is {value}, expected {lowest:g}..{highest:g}")


def _check_notes(notes: Mapping[str, str]) -> None:
    if not isinstance(notes, Mapping):
        _refuse(f"the notes are {type(notes).__name__}, expected a mapping of text to text")
    for key, text in notes.items():
        _check_label(key, "the notes")
        if not isinstance(text, str) or len(text) > _NOTE_LENGTH or not text.isprintable():
            _refuse(f"the note {key!r} must be printable text of at most {_NOTE_LENGTH} characters")


def _refuse(fault: str) -> NoReturn:
    raise InvalidResult(fault)
