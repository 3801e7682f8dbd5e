"""The grid a network wants, and the way from the volume's own grid to it and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.volume import Affine, Volume

Array = npt.NDArray[Any]
Three = tuple[int, int, int]
Place = tuple[slice, slice, slice]
"""A window of the network's axes."""

LETTERS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Patient axis (x, y, z of LPS) and the sense in which a letter points along it."""


@dataclass(frozen=True, slots=True)
class ModelGrid:
    """The network's axes, taken from the volume's.

    axes: for each axis of the network the axis of the volume; flips: whether it runs the other way.
    ratios: voxels of the volume for each voxel of the network, along the network's axes.
    """

    axes: Three
    flips: tuple[bool, bool, bool]
    turned_shape: Three
    shape: Three
    ratios: tuple[float, float, float]

    @classmethod
    def of(
        cls, volume: Volume, orientation: str | None, spacing: Sequence[float] | None, size: Sequence[int] | None
    ) -> ModelGrid:
        """Return the grid for this volume.

        orientation: direction in which each axis grows, such as "RAS"; None keeps the volume's axes.
        spacing: mm along the network's axes; size: voxels, for two axes rows and columns of each slice.
        Raises UnsupportedInput where a volume without geometry is to be turned or resampled.
        """
        if (orientation or spacing) and volume.affine is None:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "the model needs images with a place in the patient")
        axes, flips = (0, 1, 2), (False, False, False)
        if orientation and volume.affine is not None:
            axes, flips = _turns(volume.affine, orientation)
        turned = _picked(volume.shape, axes)
        ratios = (1.0, 1.0, 1.0)
        if spacing:
            assert volume.spacing is not None
            own = [volume.spacing[axis] for axis in axes]
            ratios = _three(wanted / have for wanted, have in zip(spacing, own, strict=True))
        shape = _whole(max(1, round(count / ratio)) for count, ratio in zip(turned, ratios, strict=True))
        if size:
            shape = _whole((*turned[: 3 - len(size)], *size))
            ratios = _three(have / wanted for have, wanted in zip(turned, shape, strict=True))
        return cls(axes, flips, turned, shape, ratios)

    @property
    def resampled(self) -> bool:
        """Whether the network's voxels are not those of the volume."""
        return any(abs(ratio - 1) > 1e-6 for ratio in self.ratios) or self.shape != self.turned_shape

    def forward(self, voxels: Array) -> Array:
        """Return (channel, *network axes) from the volume's voxels; a view where nothing is resampled."""
        channels = voxels[None] if voxels.ndim == 3 else np.moveaxis(voxels, -1, 0)
        turned = np.flip(channels.transpose(0, *(axis + 1 for axis in self.axes)), self._flipped(first=1))
        if not self.resampled:
            return turned
        return np.stack([_resampled(channel, self.shape, self.ratios) for channel in turned])

    def back(self, array: Array) -> Array:
        """Return an array of the network's three axes on the volume's own grid."""
        if self.resampled:
            array = _resampled(array, self.turned_shape, _three(1 / ratio for ratio in self.ratios))
        return np.flip(array, self._flipped(first=0)).transpose(np.argsort(self.axes))

    def back_boxes(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return boxes of the network's axes on the volume's own grid, cut off at its faces.

        boxes: (n, 2, 3), the first and the last corner in voxels; voxel k reaches from k to k + 1.
        """
        turned = np.clip(boxes * self.ratios, 0, self.turned_shape)
        for axis in self._flipped(first=0):
            turned[..., axis] = self.turned_shape[axis] - turned[:, ::-1, axis]
        return turned[..., np.argsort(self.axes)]

    def image(self, index: int) -> int:
        """Return the slice of the volume in the middle of a slice of the network.

        Raises UnsupportedInput where the network's slices are cut across the images.
        """
        if self.axes[0] != 0:
            raise UnsupportedInput("the model answers for slices that are not the images of this series")
        (box,) = self.back_boxes(np.array([[[index, 0, 0], [index + 1, 1, 1]]], np.float64))
        return middle_slice(box)

    def _flipped(self, first: int) -> tuple[int, ...]:
        return tuple(axis + first for axis, flip in enumerate(self.flips) if flip)


def middle_slice(box: npt.NDArray[np.float64]) -> int:
    """Return the slice in the middle of a box (2, 3) of the volume's own grid."""
    return int(box[:, 0].mean())


def _turns(affine: Affine, orientation: str) -> tuple[Three, tuple[bool, bool, bool]]:
    """Return which axis of the volume runs most nearly along each letter, and whether against it."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = [LETTERS[letter] for letter in orientation]

    def agreement(axes: tuple[int, ...]) -> float:
        return float(sum(abs(directions[along, axis]) for (along, _), axis in zip(wanted, axes, strict=True)))

    axes = _whole(max(itertools.permutations(range(3)), key=agreement))
    flips = [sense * directions[along, axis] < 0 for (along, sense), axis in zip(wanted, axes, strict=True)]
    return axes, (bool(flips[0]), bool(flips[1]), bool(flips[2]))


def _resampled(array: Array, shape: Three, ratios: Sequence[float]) -> npt.NDArray[np.float32]:
    """Return the array interpolated linearly; the outer faces of the first voxels coincide."""
    from scipy import ndimage

    offset = [(ratio - 1) / 2 for ratio in ratios]
    resampled: npt.NDArray[np.float32] = ndimage.affine_transform(
        array.astype(np.float32, copy=False), ratios, offset, shape, order=1, mode="nearest"
    )
    return resampled


def windows(shape: Three, patch: Three, overlap: float) -> Iterator[Place]:
    """Yield windows of the patch's size that cover the shape; the last along an axis is moved back inside."""
    starts = [_starts(count, size, overlap) for count, size in zip(shape, patch, strict=True)]
    for corner in itertools.product(*starts):
        ends = (min(start + size, count) for start, size, count in zip(corner, patch, shape, strict=True))
        one, two, three = (slice(start, end) for start, end in zip(corner, ends, strict=True))
        yield one, two, three


def _starts(count: int, size: int, overlap: float) -> list[int]:
    step = max(1, int(size * (1 - overlap)))
    last = max(0, count - size)
    return [*range(0, last, step), last]


def _picked(shape: Three, axes: Three) -> Three:
    return shape[axes[0]], shape[axes[1]], shape[axes[2]]


def _whole(values: Any) -> Three:
    one, two, three = values
    return int(one), int(two), int(three)


def _three(values: Any) -> tuple[float, float, float]:
    one, two, three = values
    return float(one), float(two), float(three)
