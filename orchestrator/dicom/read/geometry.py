"""Where images lie in the patient: LPS mm, PS3.3 C.7.6.2.1.1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import HeaderValue, Plane
from orchestrator.domain.volume import Affine

Points = npt.NDArray[np.float64]
Facts = dict[str, tuple[HeaderValue, ...]]

SAME_PLACE_MM = 0.01
"""Slices nearer than this are at one place: no scanner makes slices that thin."""

DIRECTION_TOLERANCE = 1e-3
"""Largest difference of a direction cosine within one orientation: 0.3 mm at the edge of a 300 mm image."""

LARGEST_TILT = np.tan(np.radians(0.5))
"""Shift in the plane over distance along the normal up to which slices count as stacked upright."""

_OBLIQUE_BELOW = float(np.cos(np.radians(30)))
"""A normal within 30 degrees of an axis of the patient is named after it: a tilted head CT is axial."""
_NAMES = ("sagittal", "coronal", "axial")


def place_tolerance_mm(spacing_mm: float) -> float:
    """Return how far a slice may lie from its place on the regular grid.

    0.1 mm: many scanners round positions to a tenth of a millimetre, so that a slice and the end of
    the stack are each wrong by 0.05. Never more than a fifth of the spacing (a missing slice is at
    least half a spacing off, wherever it is), nor less than 1 % of it.
    """
    return max(min(0.1, 0.2 * spacing_mm), 0.01 * spacing_mm)


def normal_of(orientation: Sequence[float]) -> Points:
    """Return the unit vector along which slices are stacked: row direction x column direction."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def orientation_name(orientation: Sequence[float]) -> str:
    """Return axial, coronal, sagittal or oblique."""
    along = np.abs(normal_of(orientation))
    return _NAMES[int(along.argmax())] if along.max() >= _OBLIQUE_BELOW else "oblique"


def geometry_facts(planes: Sequence[Plane]) -> Facts:
    """Return Orientation, TimePoints and, where it is the same throughout, SliceSpacing (mm) of the images."""
    valid = {orientation for orientation in {plane.orientation for plane in planes} if _is_valid(orientation)}
    planes = [plane for plane in planes if plane.orientation in valid]
    if not planes:
        return {}
    facts: Facts = {
        "Orientation": tuple(sorted({orientation_name(orientation) for orientation in valid})),
    }
    if len(_orientations(planes)) == 1:
        places, counts = places_of(distances(planes))
        facts["TimePoints"] = (int(np.median(counts)),)
        if len(places) > 1 and (gap := _departure(places[:, None]))[1]:
            facts["SliceSpacing"] = (round(float(gap[0][0]), 3),)
    return facts


def distances(planes: Sequence[Plane]) -> Points:
    """Return the distance of each image along the first one's normal, mm."""
    return np.array([plane.position for plane in planes]) @ normal_of(planes[0].orientation)


def places_of(along: Points) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return the distinct places along the normal, ascending, and how many images lie at each."""
    ordered = np.sort(along)
    starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > SAME_PLACE_MM)
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def is_regular(planes: Sequence[Plane]) -> bool:
    """True for two or more images of one orientation, each at a place of its own, equally spaced."""
    if len(planes) < 2 or not all(_is_valid(plane.orientation) for plane in planes):
        return False
    if len(_orientations(planes)) != 1:
        return False
    places, counts = places_of(distances(planes))
    return bool(len(places) > 1 and counts.max() == 1 and _departure(places[:, None])[1])


@dataclass(frozen=True, slots=True)
class Stacking:
    """Images in order along their normal.

    order: indices into the planes that were given.
    positions: (slice, 3) LPS mm. affine: index -> LPS mm, None where the gaps are not equal.
    """

    order: tuple[int, ...]
    positions: Points
    affine: Affine | None


def stack(planes: Sequence[Plane], *, slice_mm: float | None, regular: bool, gantry_tilt: bool) -> Stacking:
    """Return the planes in order; ``slice_mm`` stands in for the spacing of a single slice.

    regular: equal gaps are needed; else the affine of an irregular stack is None.
    The orientation must be one and the places distinct (``check_orientation``, ``places_of``).
    Raises UnsupportedInput (NO_GEOMETRY, MISSING_SLICE, IRREGULAR_SPACING, GANTRY_TILT).
    """
    order = np.argsort(distances(planes), kind="stable")
    positions = np.array([planes[index].position for index in order])
    first = planes[int(order[0])]
    if len(planes) == 1:
        if slice_mm is None and regular:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "one slice, with neither a thickness nor a spacing")
        step = None if slice_mm is None else normal_of(first.orientation) * slice_mm
    else:
        step = _step(positions, normal_of(first.orientation), regular=regular, gantry_tilt=gantry_tilt)
    return Stacking(tuple(order.tolist()), positions, None if step is None else _affine(first, step))


def _affine(first: Plane, step: Points) -> Affine:
    """Return the affine; Pixel Spacing names the distance between rows first (PS3.3 10.7.1.3)."""
    along_row, along_column = np.array(first.orientation).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = along_column * first.spacing[0]  # to the next row one goes along a column
    affine[:3, 2] = along_row * first.spacing[1]
    affine[:3, 3] = first.position
    return affine


def _step(positions: Points, normal: Points, *, regular: bool, gantry_tilt: bool) -> Points | None:
    """Return the vector from slice to slice, None where there is no one such vector."""
    _check_tilt(positions, normal, allowed=gantry_tilt)
    step, even = _departure(positions)
    if even:
        return step
    if regular:
        raise _uneven(np.diff(positions @ normal))
    return None


def _departure(positions: Points) -> tuple[Points, bool]:
    """Return the mean step from the first to the last position, and whether all lie on that line in equal steps."""
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    expected = positions[0] + np.arange(len(positions))[:, None] * step
    departure = np.linalg.norm(positions - expected, axis=1).max()
    return step, bool(departure <= place_tolerance_mm(float(np.linalg.norm(step))))


def _uneven(gaps: Points) -> UnsupportedInput:
    usual = float(np.median(gaps))
    multiples = gaps / usual
    at = int(np.argmax(np.abs(multiples - 1)))
    found = f"{gaps[at]:.2f} mm between slices {at + 1} and {at + 2} of {len(gaps) + 1}, {usual:.2f} mm is usual"
    if multiples.round().max() >= 2 and np.abs(multiples - multiples.round()).max() <= 0.2:
        lacking = int((multiples.round() - 1).sum())
        return UnsupportedInput(InputFault.MISSING_SLICE, f"{lacking} missing: {found}")
    return UnsupportedInput(InputFault.IRREGULAR_SPACING, found)


def _check_tilt(positions: Points, normal: Points, *, allowed: bool) -> None:
    way = positions[-1] - positions[0]
    along = float(way @ normal)
    shift = float(np.linalg.norm(way - along * normal))
    if not allowed and shift > LARGEST_TILT * along:
        degrees = np.degrees(np.arctan2(shift, along))
        raise UnsupportedInput(
            InputFault.GANTRY_TILT,
            f"the slices are sheared by {degrees:.1f} degrees and the model takes upright stacks",
        )


def check_orientation(planes: Sequence[Plane]) -> None:
    """Return where all planes have one and the same valid orientation.

    Raises UnsupportedInput (NO_GEOMETRY, MIXED_ORIENTATION).
    """
    if not all(_is_valid(plane.orientation) for plane in planes):
        raise UnsupportedInput(InputFault.NO_GEOMETRY, "the orientation is not two perpendicular unit vectors")
    if (count := len(_orientations(planes))) > 1:
        raise UnsupportedInput(InputFault.MIXED_ORIENTATION, f"{count} orientations in one series")


def _orientations(planes: Sequence[Plane]) -> list[Points]:
    """Return one representative of each orientation."""
    found: list[Points] = []
    for cosines in np.unique(np.array([plane.orientation for plane in planes]), axis=0):
        if not any(np.abs(cosines - other).max() <= DIRECTION_TOLERANCE for other in found):
            found.append(cosines)
    return found


def _is_valid(orientation: Sequence[float]) -> bool:
    """True for two perpendicular unit vectors, within what rounding to three decimals leaves."""
    vectors = np.array(orientation).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    return bool(np.abs(lengths - 1).max() < 0.01 and abs(vectors[0] @ vectors[1]) < 0.01)
