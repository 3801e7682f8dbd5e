"""Samples a volume in boxes in patient space, and resamples the result onto the grid of the volume.

Both networks were trained on heads with axes towards R, A, S, scaled to a cube of fixed size. ``HeadAxes`` gives
these axes for a volume of any orientation, ``Box`` the part of space that fills the cube. Each direction is one
affine map, so flipped, rotated and anisotropic grids need no special case.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Matrix = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A box along the head axes: ``low`` and ``high`` (3,) are its faces in mm."""

    low: Matrix
    high: Matrix

    def part(self, first: Matrix, last: Matrix, points: int) -> Box:
        """Return the part between two edges; edges in cells of a cube of ``points`` cells that fills this box."""
        cell = (self.high - self.low) / points
        return Box(self.low + cell * np.clip(first, 0, points), self.low + cell * np.clip(last, 0, points))


@dataclass(frozen=True, slots=True, eq=False)
class HeadAxes:
    """Axes of one volume towards right, anterior and superior.

    matrix, offset: index (slice, row, column) -> mm along the axes, ``matrix @ index + offset``.
    shape: shape of the volume.
    """

    matrix: Matrix
    offset: Matrix
    shape: tuple[int, int, int]

    def box(self) -> Box:
        """Return the smallest box around the whole volume, including voxel edges."""
        edges = [(-0.5, count - 0.5) for count in self.shape]
        corners = np.array(list(itertools.product(*edges))) @ self.matrix.T + self.offset
        return Box(corners.min(axis=0), corners.max(axis=0))

    def around(self, mask: npt.NDArray[np.bool_]) -> Box:
        """Return the smallest box around the voxels of a mask, which must not be empty."""
        index = np.argwhere(mask) @ self.matrix.T + self.offset
        reach = np.abs(self.matrix).sum(axis=1) / 2
        return Box(index.min(axis=0) - reach, index.max(axis=0) + reach)

    def sample(self, voxels: npt.NDArray[Any], box: Box, points: int) -> Field:
        """Return the volume in ``points`` ** 3 cells of the box (R, A, S); linear interpolation, 0 outside."""
        cell = (box.high - box.low) / points
        inverse = np.linalg.inv(self.matrix)
        matrix, offset = inverse * cell, inverse @ (box.low + cell / 2 - self.offset)
        return _resample(voxels, matrix, offset, (points, points, points))

    def to_grid(self, cube: Field, box: Box) -> Field:
        """Return a cube that fills the box (R, A, S) on the grid of the volume, 0 outside the box."""
        cell = (box.high - box.low) / np.array(cube.shape)
        matrix = self.matrix / cell[:, np.newaxis]
        offset = (self.offset - box.low) / cell - 0.5
        return _resample(cube, matrix, offset, self.shape)


def head_axes(affine: Matrix, shape: tuple[int, int, int]) -> HeadAxes:
    """Return the head axes of a volume with this affine (index -> LPS mm).

    These are the axes of the volume, each assigned to the nearest patient axis and directed to R, A or S.
    The networks support tilted heads. Sampling an oblique volume along the patient axes would cut its corners
    (at 25 to 40 degrees: Dice 0.99 against 0.99 to 0.85).
    """
    matrix = LPS_TO_RAS @ affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    cosines = matrix / spacing
    order = max(itertools.permutations(range(3)), key=lambda axes: sum(abs(cosines[i, axes[i]]) for i in range(3)))
    to_axes = np.zeros((3, 3))
    for target, axis in enumerate(order):
        to_axes[target, axis] = np.copysign(spacing[axis], cosines[target, axis])
    return HeadAxes(to_axes, LPS_TO_RAS @ affine[:3, 3], shape)


def _resample(source: npt.NDArray[Any], matrix: Matrix, offset: Matrix, shape: tuple[int, int, int]) -> Field:
    result: Field = ndimage.affine_transform(
        source, matrix, offset, output_shape=shape, output=np.float32, order=1, mode="grid-constant", prefilter=False
    )
    return result
