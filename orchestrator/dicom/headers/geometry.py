"""Position and orientation of images in the patient, in LPS mm (PS3.3 C.7.6.2.1.1)."""

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
"""Slices closer than this are at one position: no scanner makes slices that thin."""

DIRECTION_TOLERANCE = 1e-3
"""Largest difference of a direction cosine within one orientation; 0.3 mm at the edge of a 300 mm image."""

LARGEST_TILT = np.tan(np.radians(0.5))
"""Largest in-plane shift per distance along the normal of a stack without gantry tilt."""

SHIFT_MM = 1.0
"""Largest shift of an image in its plane against its neighbour, beside that of a gantry tilt."""

_ARITHMETIC_MM = 1e-6
"""Numbers of 0.1 mm are not exact in binary: a slice at the very limit is within it."""

_OBLIQUE_BELOW = float(np.cos(np.radians(30)))
"""Cosine of 30 degrees: an orientation is named after an axis of the patient within this angle of its normal."""
_NAMES = ("sagittal", "coronal", "axial")


def place_tolerance_mm(spacing_mm: float) -> float:
    """Return the largest allowed distance (mm) of a slice from its position on the regular grid.

    0.1 mm: many scanners round positions to 0.1 mm, so a slice and the end of the stack are each off by 0.05 mm.
    At most a fifth of the spacing (a missing slice shifts others by at least half a spacing), at least 1 % of it.
    """
    return max(min(0.1, 0.2 * spacing_mm), 0.01 * spacing_mm) + _ARITHMETIC_MM


def normal_of(orientation: Sequence[float]) -> Points:
    """Return the unit normal of the slices: row direction x column direction."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def orientation_name(orientation: Sequence[float]) -> str:
    """Return axial, coronal, sagittal or oblique."""
    along = np.abs(normal_of(orientation))
    return _NAMES[int(along.argmax())] if along.max() >= _OBLIQUE_BELOW else "oblique"


def geometry_facts(planes: Sequence[Plane]) -> Facts:
    """Return Orientation, TimePoints and, where it is uniform, SliceSpacing (mm) of the images."""
    valid = {orientation for orientation in {plane.orientation for plane in planes} if _is_valid(orientation)}
    planes = [plane for plane in planes if plane.orientation in valid]
    if not planes:
        return {}
    facts: Facts = {
        "Orientation": tuple(sorted({orientation_name(orientation) for orientation in valid})),
    }
    if len(_orientations(planes)) == 1:
        positions, counts = distinct_positions(distances(planes))
        facts["TimePoints"] = (int(np.median(counts)),)
        if len(positions) > 1:
            spacing, uniform = _mean_step(positions[:, None])
            if uniform:
                facts["SliceSpacing"] = (round(float(spacing[0]), 3),)
    return facts


def distances(planes: Sequence[Plane]) -> Points:
    """Return the position of each image along the normal of the first image, mm."""
    return np.array([plane.position for plane in planes]) @ normal_of(planes[0].orientation)


def distinct_positions(along: Points) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return the distinct positions along the normal, ascending, and the number of images at each."""
    ascending = np.sort(along)
    starts = np.flatnonzero(np.diff(ascending, prepend=-np.inf) > SAME_PLACE_MM)
    return ascending[starts], np.diff(np.append(starts, len(ascending)))


def is_one_orientation(planes: Sequence[Plane]) -> bool:
    """Return True for images that all have the same valid orientation."""
    return bool(planes) and all(_is_valid(plane.orientation) for plane in planes) and len(_orientations(planes)) == 1


def is_regular(planes: Sequence[Plane]) -> bool:
    """Return True for two or more equally spaced images of one orientation, one at each position."""
    if len(planes) < 2 or not is_one_orientation(planes):
        return False
    positions, counts = distinct_positions(distances(planes))
    return bool(len(positions) > 1 and counts.max() == 1 and _mean_step(positions[:, None])[1])


@dataclass(frozen=True, slots=True)
class Stacking:
    """Images in order along their normal.

    order: indices into the planes passed to ``stack``.
    positions: (slice, 3) LPS mm. affine: index -> LPS mm, None where the spacing is irregular.
    """

    order: tuple[int, ...]
    positions: Points
    affine: Affine | None


def stack(planes: Sequence[Plane], *, slice_mm: float | None, regular: bool, gantry_tilt: bool) -> Stacking:
    """Return the order of the planes along their normal.

    The planes must have one orientation and distinct positions (``check_orientation``, ``distinct_positions``).
    slice_mm: spacing to use for a single slice.
    regular: refuse an irregular spacing; otherwise an irregular stack has no affine.
    Raises UnsupportedInput (NO_GEOMETRY, MISSING_SLICE, IRREGULAR_SPACING, GANTRY_TILT, SHIFTED).
    """
    order = np.argsort(distances(planes), kind="stable")
    positions = np.array([planes[index].position for index in order])
    first = planes[int(order[0])]
    if len(planes) == 1:
        if slice_mm is None and regular:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "the only slice has neither thickness nor spacing")
        step = None if slice_mm is None else normal_of(first.orientation) * slice_mm
    else:
        step = _step(positions, normal_of(first.orientation), regular=regular, gantry_tilt=gantry_tilt)
    return Stacking(tuple(order.tolist()), positions, None if step is None else _affine(first, step))


def _affine(first: Plane, step: Points) -> Affine:
    """Return the affine; Pixel Spacing gives the distance between rows first (PS3.3 10.7.1.3)."""
    along_row, along_column = np.array(first.orientation).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = along_column * first.spacing[0]  # the next row lies along the column direction
    affine[:3, 2] = along_row * first.spacing[1]
    affine[:3, 3] = first.position
    return affine


def _step(positions: Points, normal: Points, *, regular: bool, gantry_tilt: bool) -> Points | None:
    """Return the vector from slice to slice, None where the spacing is irregular."""
    _check_shift(positions, normal)
    if not gantry_tilt:
        _check_tilt(positions, normal)
    step, uniform = _mean_step(positions)
    if uniform:
        return step
    if regular:
        raise _irregular(np.diff(positions @ normal))
    return None


def _mean_step(positions: Points) -> tuple[Points, bool]:
    """Return the mean step between positions, and whether all positions follow it within the tolerance."""
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    expected = positions[0] + np.arange(len(positions))[:, None] * step
    deviation = np.linalg.norm(positions - expected, axis=1).max()
    return step, bool(deviation <= place_tolerance_mm(float(np.linalg.norm(step))))


def _irregular(gaps: Points) -> UnsupportedInput:
    usual = float(np.median(gaps))
    multiples = gaps / usual
    at = int(np.argmax(np.abs(multiples - 1)))
    text = f"{gaps[at]:.2f} mm between slices {at + 1} and {at + 2} of {len(gaps) + 1}, usual {usual:.2f} mm"
    if multiples.round().max() >= 2 and np.abs(multiples - multiples.round()).max() <= 0.2:
        count = int((multiples.round() - 1).sum())
        missing = "1 slice is missing" if count == 1 else f"{count} slices are missing"
        return UnsupportedInput(InputFault.MISSING_SLICE, f"{missing}: {text}")
    return UnsupportedInput(InputFault.IRREGULAR_SPACING, text)


def _check_shift(positions: Points, normal: Points) -> None:
    """Refuse images that shift in their plane from one slice to the next, unless all of them do (gantry tilt)."""
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    in_plane = steps - along[:, None] * normal
    usual = np.median(in_plane / along[:, None], axis=0) * along[:, None]  # a tilt shifts each slice by its spacing
    shifts = np.linalg.norm(in_plane - usual, axis=1)
    at = int(np.argmax(shifts))
    if shifts[at] > SHIFT_MM:
        text = f"the images shift by {shifts[at]:.1f} mm in their plane between slices {at + 1} and {at + 2}"
        raise UnsupportedInput(InputFault.SHIFTED, f"{text} of {len(positions)}")


def _check_tilt(positions: Points, normal: Points) -> None:
    extent = positions[-1] - positions[0]
    along = float(extent @ normal)
    shift = float(np.linalg.norm(extent - along * normal))
    if shift > LARGEST_TILT * along:
        degrees = np.degrees(np.arctan2(shift, along))
        raise UnsupportedInput(
            InputFault.GANTRY_TILT,
            f"the slices are sheared by {degrees:.1f} degrees (gantry tilt); the model accepts upright stacks only",
        )


def check_orientation(planes: Sequence[Plane]) -> None:
    """Check that all planes have the same valid orientation.

    Raises UnsupportedInput (NO_GEOMETRY, MIXED_ORIENTATION).
    """
    if not all(_is_valid(plane.orientation) for plane in planes):
        raise UnsupportedInput(InputFault.NO_GEOMETRY, "the orientation is not two perpendicular unit vectors")
    if (count := len(_orientations(planes))) > 1:
        raise UnsupportedInput(InputFault.MIXED_ORIENTATION, f"the images have {count} different orientations")


def _orientations(planes: Sequence[Plane]) -> list[Points]:
    """Return one representative of each orientation."""
    representatives: list[Points] = []
    for cosines in np.unique(np.array([plane.orientation for plane in planes]), axis=0):
        if not any(np.abs(cosines - other).max() <= DIRECTION_TOLERANCE for other in representatives):
            representatives.append(cosines)
    return representatives


def _is_valid(orientation: Sequence[float]) -> bool:
    """Return True for two perpendicular unit vectors, allowing for cosines rounded to three decimals."""
    vectors = np.array(orientation).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    return bool(np.abs(lengths - 1).max() < 0.01 and abs(vectors[0] @ vectors[1]) < 0.01)
