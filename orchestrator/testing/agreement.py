"""Compares two masks: Dice coefficient, and the difference in words."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.volume import Affine

Mask = npt.NDArray[Any]
"""(slice, row, column): bool, or whole numbers where 0 is outside."""

MIRRORED = 0.8
"""Dice coefficient from which a flipped mask counts as the same mask."""

_AXES = ("left-right", "front-back", "head-foot")
_WAYS = (("left", "right"), ("back", "front"), ("head", "feet"))
_IMAGE_AXES = ("from the first to the last image", "top-bottom", "left-right")


def dice(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient of two masks of one shape, 0..1; 1 where both are empty."""
    one, other = one.astype(bool, copy=False), other.astype(bool, copy=False)
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 1.0 if total == 0 else 2 * int(np.count_nonzero(one & other)) / total


def onto(mask: Mask, affine: Affine, grid: Affine, shape: tuple[int, int, int]) -> Mask:
    """Return a mask with this affine on another grid: each voxel gets the value at its centre, 0 outside the mask."""
    return values_onto(mask.astype(np.uint8, copy=False), affine, grid, shape).astype(bool)


def values_onto(
    values: npt.NDArray[Any], affine: Affine, grid: Affine, shape: tuple[int, int, int]
) -> npt.NDArray[Any]:
    """Return values (slice, row, column) on another grid: each voxel gets the nearest value, 0 outside."""
    from scipy import ndimage

    to_source = np.linalg.inv(affine) @ grid
    result = ndimage.affine_transform(
        values, to_source[:3, :3], to_source[:3, 3], output_shape=shape, order=0, mode="grid-constant"
    )
    return np.asarray(result)


def difference(found: Mask, wanted: Mask, affine: Affine | None) -> str:
    """Return in words how a mask differs from the expected one on the same grid: mirrored, moved, larger, smaller.

    affine: index -> LPS mm of the grid; None for images without patient geometry.
    """
    mask, expected = found.astype(bool, copy=False), wanted.astype(bool, copy=False)
    if not mask.any() or not expected.any():
        return "nothing is marked" if expected.any() else "something is marked where nothing should be"
    if axes := mirroring(mask, expected, affine):
        return f"it is mirrored {axes}"
    return f"{_sizes(mask, expected, affine)}, {_shift(mask, expected, affine)}"


def mirroring(mask: Mask, expected: Mask, affine: Affine | None) -> str:
    """Return the axes along which a mask must be flipped to become the expected one; empty if no flip helps."""
    candidates = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)]
    scores = {axes: dice(np.flip(mask, axes), expected) for axes in candidates}
    best = max(candidates, key=lambda axes: scores[axes])
    if scores[best] < max(MIRRORED, dice(mask, expected) + 0.05):
        return ""
    return " and ".join(axis_name(axis, affine) for axis in best)


def axis_name(axis: int, affine: Affine | None) -> str:
    """Return the name of a grid's axis in the patient; without an affine, its name on the image."""
    return _IMAGE_AXES[axis] if affine is None else _AXES[int(np.abs(affine[:3, axis]).argmax())]


def _sizes(mask: Mask, expected: Mask, affine: Affine | None) -> str:
    counts = np.array([np.count_nonzero(mask), np.count_nonzero(expected)])
    if affine is None:
        return f"{counts[0]} pixels instead of {counts[1]}"
    mask_ml, expected_ml = counts * abs(np.linalg.det(affine[:3, :3])) / 1000
    if np.isclose(mask_ml, expected_ml, rtol=0.01):
        return f"it has the right size, {mask_ml:.3g} ml"
    return f"{mask_ml:.3g} ml instead of {expected_ml:.3g} ml"


def _shift(mask: Mask, expected: Mask, affine: Affine | None) -> str:
    distance = displacement(_centre(mask) - _centre(expected), affine)
    return f"its centre lies {distance}" if distance else "its centre lies at the same place"


def displacement(offset: npt.NDArray[np.float64], affine: Affine | None) -> str:
    """Return distance and direction of an offset of (slice, row, column) voxels, empty for less than one voxel.

    affine: index -> LPS mm; without one the distance is in pixels on the image.
    """
    if affine is None:
        pixels = float(np.linalg.norm(offset[1:]))
        return f"{pixels:.0f} pixels off" if pixels >= 1 else ""
    mm = affine[:3, :3] @ offset
    least = np.linalg.norm(affine[:3, :3], axis=0).min()
    return " and ".join(
        f"{abs(distance):.0f} mm towards the {ways[0] if distance > 0 else ways[1]}"
        for distance, ways in zip(mm, _WAYS, strict=True)
        if abs(distance) >= max(1.0, least)
    )


def _centre(mask: Mask) -> npt.NDArray[np.float64]:
    """Return the mean index of the voxels, computed per axis to save memory."""
    sums = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return np.array([float((line * np.arange(len(line))).sum() / line.sum()) for line in sums])
