"""How far two masks agree, and in a person's words how they differ."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.volume import Affine

Mask = npt.NDArray[Any]
"""(slice, row, column): bool, or whole numbers of which none but 0 is outside."""

MIRRORED = 0.8
"""Dice from which a mask that was mirrored back counts as the same mask."""

_AXES = ("left-right", "front-back", "head-foot")
_WAYS = (("left", "right"), ("back", "front"), ("head", "feet"))
_IMAGE_AXES = ("from the first to the last image", "top-bottom", "left-right")


def dice(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient of two masks of one shape, 0..1; 1 where both are empty."""
    one, other = one.astype(bool, copy=False), other.astype(bool, copy=False)
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 1.0 if total == 0 else 2 * int(np.count_nonzero(one & other)) / total


def onto(mask: Mask, affine: Affine, grid: Affine, shape: tuple[int, int, int]) -> Mask:
    """Return the mask, which lies at ``affine``, on another grid: what each voxel's centre there hits, or nothing."""
    return values_onto(mask.astype(np.uint8, copy=False), affine, grid, shape).astype(bool)


def values_onto(
    values: npt.NDArray[Any], affine: Affine, grid: Affine, shape: tuple[int, int, int]
) -> npt.NDArray[Any]:
    """Return values (slice, row, column) as ``onto`` returns a mask: of the nearest voxel, 0 beyond the last."""
    from scipy import ndimage

    way = np.linalg.inv(affine) @ grid
    moved = ndimage.affine_transform(values, way[:3, :3], way[:3, 3], output_shape=shape, order=0, mode="grid-constant")
    return np.asarray(moved)


def difference(found: Mask, wanted: Mask, affine: Affine | None) -> str:
    """Return how one mask differs from another on the same grid: mirrored, elsewhere, larger or smaller.

    affine: index -> LPS mm of that grid; None for images without a place in the patient.
    """
    found, wanted = found.astype(bool, copy=False), wanted.astype(bool, copy=False)
    if not found.any() or not wanted.any():
        return "nothing is marked" if wanted.any() else "something is marked where nothing should be"
    mirrored = mirroring(found, wanted, affine)
    if mirrored:
        return f"it is mirrored {mirrored}"
    return f"{_sizes(found, wanted, affine)}, {_shift(found, wanted, affine)}"


def mirroring(found: Mask, wanted: Mask, affine: Affine | None) -> str:
    """Return along which axes one mask must be mirrored about the middle to become the other, nothing if none help."""
    ways = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)]
    agreed = {axes: dice(np.flip(found, axes), wanted) for axes in ways}
    best = max(ways, key=lambda axes: agreed[axes])
    if agreed[best] < max(MIRRORED, dice(found, wanted) + 0.05):
        return ""
    return " and ".join(axis_name(axis, affine) for axis in best)


def axis_name(axis: int, affine: Affine | None) -> str:
    """Return between which sides of the patient an axis of a grid runs; without an affine, of what is looked at."""
    return _IMAGE_AXES[axis] if affine is None else _AXES[int(np.abs(affine[:3, axis]).argmax())]


def _sizes(found: Mask, wanted: Mask, affine: Affine | None) -> str:
    counts = np.array([np.count_nonzero(found), np.count_nonzero(wanted)])
    if affine is None:
        return f"{counts[0]} pixels instead of {counts[1]}"
    found_ml, wanted_ml = counts * abs(np.linalg.det(affine[:3, :3])) / 1000
    if np.isclose(found_ml, wanted_ml, rtol=0.01):
        return f"it has the right size, {found_ml:.3g} ml"
    return f"{found_ml:.3g} ml instead of {wanted_ml:.3g} ml"


def _shift(found: Mask, wanted: Mask, affine: Affine | None) -> str:
    moved = displacement(_centre(found) - _centre(wanted), affine)
    return f"its centre lies {moved}" if moved else "its centre lies at the same place"


def displacement(moved: npt.NDArray[np.float64], affine: Affine | None) -> str:
    """Return how far and in which direction (slice, row, column) voxels lead in the patient, "" for less than one.

    affine: index -> LPS mm; without one the pixels on the image are counted.
    """
    if affine is None:
        pixels = float(np.linalg.norm(moved[1:]))
        return f"{pixels:.0f} pixels off" if pixels >= 1 else ""
    mm = affine[:3, :3] @ moved
    least = np.linalg.norm(affine[:3, :3], axis=0).min()
    return " and ".join(
        f"{abs(distance):.0f} mm towards the {ways[0] if distance > 0 else ways[1]}"
        for distance, ways in zip(mm, _WAYS, strict=True)
        if abs(distance) >= max(1.0, least)
    )


def _centre(mask: Mask) -> npt.NDArray[np.float64]:
    """Return the mean index; by axis, so that no list of all voxels is made."""
    sums = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return np.array([float((line * np.arange(len(line))).sum() / line.sum()) for line in sums])
