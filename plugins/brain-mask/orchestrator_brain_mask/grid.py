"""Boxes in patient space that a volume is sampled in, and the way back onto its own grid.

Both networks were trained on heads stored left to right, back to front, bottom to top (axes towards
R, A, S), squeezed into a cube of fixed size. A ``Frame`` supplies those axes for a volume of any
orientation, a ``Box`` the part of space that fills the cube. Sampling and bringing back
are one affine map each, so flipped, rotated and anisotropic grids need no case of their own.
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
    """A box in a frame: ``low`` and ``high`` (3,) are its faces in mm along the frame's axes."""

    low: Matrix
    high: Matrix

    def part(self, first: Matrix, last: Matrix, points: int) -> Box:
        """Return the part between two edges given in cells of a ``points``-cube that fills this box."""
        cell = (self.high - self.low) / points
        return Box(self.low + cell * np.clip(first, 0, points), self.low + cell * np.clip(last, 0, points))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Axes towards right, anterior, superior for one volume.

    to_frame, offset: index (slice, row, column) -> mm in the frame, ``to_frame @ index + offset``.
    shape: the volume's shape.
    """

    to_frame: Matrix
    offset: Matrix
    shape: tuple[int, int, int]

    def box(self) -> Box:
        """Return the smallest box that holds the whole volume, voxel edges included."""
        edges = [(-0.5, count - 0.5) for count in self.shape]
        corners = np.array(list(itertools.product(*edges))) @ self.to_frame.T + self.offset
        return Box(corners.min(axis=0), corners.max(axis=0))

    def around(self, mask: npt.NDArray[np.bool_]) -> Box:
        """Return the smallest box that holds the voxels of a mask that is not empty."""
        index = np.argwhere(mask) @ self.to_frame.T + self.offset
        reach = np.abs(self.to_frame).sum(axis=1) / 2
        return Box(index.min(axis=0) - reach, index.max(axis=0) + reach)

    def sample(self, voxels: npt.NDArray[Any], box: Box, points: int) -> Field:
        """Return the volume in ``points`` ** 3 cells of the box (R, A, S), linear between voxels, 0 outside."""
        cell = (box.high - box.low) / points
        back = np.linalg.inv(self.to_frame)
        matrix, offset = back * cell, back @ (box.low + cell / 2 - self.offset)
        return _resampled(voxels, matrix, offset, (points, points, points))

    def bring_back(self, cube: Field, box: Box) -> Field:
        """Return a cube that fills the box (R, A, S) on the volume's own grid, 0 outside the box."""
        cell = (box.high - box.low) / np.array(cube.shape)
        matrix = self.to_frame / cell[:, np.newaxis]
        offset = (self.offset - box.low) / cell - 0.5
        return _resampled(cube, matrix, offset, self.shape)


def frame_of(affine: Matrix, shape: tuple[int, int, int]) -> Frame:
    """Return the frame of a volume with that affine (index -> LPS mm).

    It is the volume's own axes, each named after the nearest of the patient's and turned to point
    towards R, A or S: the networks know tilted heads, and sampling an oblique volume along the patient's
    axes would cut corners off it (tried from 25 to 40 degrees: Dice 0.99 against 0.99 to 0.85).
    """
    matrix = LPS_TO_RAS @ affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    cosines = matrix / spacing
    order = max(itertools.permutations(range(3)), key=lambda axes: sum(abs(cosines[i, axes[i]]) for i in range(3)))
    to_frame = np.zeros((3, 3))
    for towards, axis in enumerate(order):
        to_frame[towards, axis] = np.copysign(spacing[axis], cosines[towards, axis])
    return Frame(to_frame, LPS_TO_RAS @ affine[:3, 3], shape)


def _resampled(source: npt.NDArray[Any], matrix: Matrix, offset: Matrix, shape: tuple[int, int, int]) -> Field:
    result: Field = ndimage.affine_transform(
        source, matrix, offset, output_shape=shape, output=np.float32, order=1, mode="grid-constant", prefilter=False
    )
    return result
