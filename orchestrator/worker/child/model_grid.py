"""The voxel grid of a network, and the mapping from the grid of the volume to it and back."""

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
GridWindow = tuple[slice, slice, slice]
"""A window on the network's axes."""

LETTERS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Patient axis (x, y, z of LPS) and direction of a letter."""


@dataclass(frozen=True, slots=True)
class ModelGrid:
    """The grid of the network, relative to the grid of the volume.

    axes: the axis of the volume for each axis of the network; flips: whether that axis is reversed.
    oriented_shape: the volume's shape along the network's axes, before resampling.
    ratios: voxels of the volume per voxel of the network, along the network's axes.
    """

    axes: Three
    flips: tuple[bool, bool, bool]
    oriented_shape: Three
    shape: Three
    ratios: tuple[float, float, float]

    @classmethod
    def of(
        cls, volume: Volume, orientation: str | None, spacing: Sequence[float] | None, size: Sequence[int] | None
    ) -> ModelGrid:
        """Return the grid for this volume.

        orientation: direction of each axis, such as "RAS"; None keeps the axes of the volume.
        spacing: mm along the network's axes; size: voxels, of two axes those of each slice (rows, columns).
        Raises UnsupportedInput for a volume without geometry that must be reoriented or resampled.
        """
        if (orientation or spacing) and volume.affine is None:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "the model needs images with a place in the patient")
        axes, flips = (0, 1, 2), (False, False, False)
        if orientation and volume.affine is not None:
            axes, flips = _match_axes(volume.affine, orientation)
        oriented = _permute(volume.shape, axes)
        ratios = (1.0, 1.0, 1.0)
        if spacing:
            assert volume.spacing is not None
            own = [volume.spacing[axis] for axis in axes]
            ratios = _three(target / size for target, size in zip(spacing, own, strict=True))
        shape = _whole(max(1, round(count / ratio)) for count, ratio in zip(oriented, ratios, strict=True))
        if size:
            shape = _whole((*oriented[: 3 - len(size)], *size))
            ratios = _three(count / target for count, target in zip(oriented, shape, strict=True))
        return cls(axes, flips, oriented, shape, ratios)

    @property
    def resamples(self) -> bool:
        """Whether the voxels of the network differ from those of the volume."""
        return any(abs(ratio - 1) > 1e-6 for ratio in self.ratios) or self.shape != self.oriented_shape

    def forward(self, voxels: Array) -> Array:
        """Return (channel, *network axes) from the voxels of the volume; a view unless the grid resamples."""
        channels = voxels[None] if voxels.ndim == 3 else np.moveaxis(voxels, -1, 0)
        oriented = np.flip(channels.transpose(0, *(axis + 1 for axis in self.axes)), self._flipped_axes(first=1))
        if not self.resamples:
            return oriented
        return np.stack([_resample(channel, self.shape, self.ratios) for channel in oriented])

    def back(self, array: Array) -> Array:
        """Return an array on the network's three axes, mapped to the grid of the volume."""
        if self.resamples:
            array = _resample(array, self.oriented_shape, _three(1 / ratio for ratio in self.ratios))
        return np.flip(array, self._flipped_axes(first=0)).transpose(np.argsort(self.axes))

    def back_boxes(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return boxes on the network's axes, mapped to the grid of the volume and clipped to it.

        boxes: (n, 2, 3), the first and the last corner in voxels; voxel k reaches from k to k + 1.
        """
        corners = np.clip(boxes * self.ratios, 0, self.oriented_shape)
        for axis in self._flipped_axes(first=0):
            corners[..., axis] = self.oriented_shape[axis] - corners[:, ::-1, axis]
        return corners[..., np.argsort(self.axes)]

    def image(self, index: int) -> int:
        """Return the slice of the volume at the middle of a slice of the network.

        Raises UnsupportedInput if the slices of the network are not parallel to the images.
        """
        if self.axes[0] != 0:
            raise UnsupportedInput("the slices of the model are not parallel to the images of this series")
        (box,) = self.back_boxes(np.array([[[index, 0, 0], [index + 1, 1, 1]]], np.float64))
        return middle_slice(box)

    def _flipped_axes(self, first: int) -> tuple[int, ...]:
        return tuple(axis + first for axis, flip in enumerate(self.flips) if flip)


def middle_slice(box: npt.NDArray[np.float64]) -> int:
    """Return the middle slice of a box (2, 3) on the grid of the volume."""
    return int(box[:, 0].mean())


def _match_axes(affine: Affine, orientation: str) -> tuple[Three, tuple[bool, bool, bool]]:
    """Return the axis of the volume closest to each letter, and whether it runs in the opposite direction."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    targets = [LETTERS[letter] for letter in orientation]

    def agreement(axes: tuple[int, ...]) -> float:
        return float(sum(abs(directions[along, axis]) for (along, _), axis in zip(targets, axes, strict=True)))

    axes = _whole(max(itertools.permutations(range(3)), key=agreement))
    flips = [sense * directions[along, axis] < 0 for (along, sense), axis in zip(targets, axes, strict=True)]
    return axes, (bool(flips[0]), bool(flips[1]), bool(flips[2]))


def _resample(array: Array, shape: Three, ratios: Sequence[float]) -> npt.NDArray[np.float32]:
    """Return the array, linearly interpolated; the outer faces of the first voxels coincide."""
    from scipy import ndimage

    offset = [(ratio - 1) / 2 for ratio in ratios]
    output: npt.NDArray[np.float32] = ndimage.affine_transform(
        array.astype(np.float32, copy=False), ratios, offset, shape, order=1, mode="nearest"
    )
    return output


def windows(shape: Three, patch: Three, overlap: float) -> Iterator[GridWindow]:
    """Yield windows of the patch's size that cover the shape; the last one on an axis is moved back inside."""
    starts = [_starts(count, size, overlap) for count, size in zip(shape, patch, strict=True)]
    for corner in itertools.product(*starts):
        ends = (min(start + size, count) for start, size, count in zip(corner, patch, shape, strict=True))
        one, two, three = (slice(start, end) for start, end in zip(corner, ends, strict=True))
        yield one, two, three


def _starts(count: int, size: int, overlap: float) -> list[int]:
    step = max(1, int(size * (1 - overlap)))
    last = max(0, count - size)
    return [*range(0, last, step), last]


def _permute(shape: Three, axes: Three) -> Three:
    return shape[axes[0]], shape[axes[1]], shape[axes[2]]


def _whole(values: Any) -> Three:
    one, two, three = values
    return int(one), int(two), int(three)


def _three(values: Any) -> tuple[float, float, float]:
    one, two, three = values
    return float(one), float(two), float(three)
