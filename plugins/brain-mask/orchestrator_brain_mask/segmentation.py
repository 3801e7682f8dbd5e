"""Segments the brain in two steps: its position in a coarse cube of the whole volume, its outline in a fine cube.

Method and networks are those of deepbet (Fisch et al., Comput Biol Med 179:108845, 2024). The code around the
networks is our own, for volumes with an affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from orchestrator_brain_mask.grid import Field, HeadAxes

COARSE_POINTS = 128
FINE_POINTS = 256
MARGIN = 0.1
"""Margin around the brain on each side, as a fraction of its size."""
LEAST_OF_A_PLANE = 0.02
"""Fraction of brain above which a plane of the coarse cube belongs to the brain's box."""
THRESHOLD = 0.5

Mask = npt.NDArray[np.bool_]


class BrainNetwork(Protocol):
    """Computes the probability of brain for a normalized cube (R, A, S)."""

    def __call__(self, cube: Field) -> Field:
        """Return the probability in each cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """The result of the networks on the grid of the volume.

    mask: bool, one component without holes; all False if there is no brain.
    doubt: number of voxels with a probability between 0.1 and 0.9, relative to the number above 0.5.
    """

    mask: Mask
    doubt: float


def find_brain(voxels: npt.NDArray[Any], axes: HeadAxes, coarse: BrainNetwork, fine: BrainNetwork) -> Brain:
    """Segment the brain in a volume (slice, row, column)."""
    whole = axes.box()
    cube = axes.sample(voxels, whole, COARSE_POINTS)
    low, high = np.quantile(cube, (0.005, 0.995))
    nothing = Brain(np.zeros(voxels.shape, dtype=bool), doubt=1.0)
    if not high > low:
        return nothing
    place = _extent(_largest_component(coarse(_normalize(cube, low, high)) > THRESHOLD))
    if place is None:
        return nothing
    box = whole.part(*place, COARSE_POINTS)
    probability = fine(_normalize(axes.sample(voxels, box, FINE_POINTS), low, high))
    on_grid = axes.to_grid(probability, box)
    return Brain(_fill_holes(_largest_component(on_grid > THRESHOLD)), _doubt(probability))


class OnnxBrainNetwork:
    """A brain network in ONNX Runtime on the CPU or a CUDA device."""

    def __init__(self, path: Path, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # threads that spin between operators would take the cores of the worker beside this one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
        self.device = "cpu" if self._session.get_providers()[0] == "CPUExecutionProvider" else device

    def __call__(self, cube: Field) -> Field:
        """Return the probability of brain: the second of two classes."""
        (probability,) = self._session.run(None, {"volume": cube[np.newaxis, np.newaxis]})
        brain: Field = probability[0, 1]
        return brain


def _providers(device: str) -> list[Any]:
    import onnxruntime

    if not device.startswith("cuda") or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    number = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]


def _normalize(cube: Field, low: float, high: float) -> Field:
    """Clip the cube to the two values; normalize it to mean 0.449 and deviation 0.226, as in the training data."""
    clipped = np.clip((cube - np.float32(low)) / np.float32(high - low), 0, 1)
    deviation = clipped.std(dtype=np.float64)
    if deviation == 0:
        return np.full_like(clipped, 0.449)
    result: Field = ((clipped - clipped.mean(dtype=np.float64)) * (0.226 / deviation) + 0.449).astype(np.float32)
    return result


def _extent(mask: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return the first and last edge of the brain in cells, with margin; None without a brain."""
    edges = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(mask.mean(axis=others) > LEAST_OF_A_PLANE)
        if not len(planes):
            return None
        margin = MARGIN * (planes[-1] + 1 - planes[0])
        edges.append((planes[0] - margin, planes[-1] + 1 + margin))
    first, last = np.array(edges, dtype=np.float64).T
    return first, last


def _largest_component(mask: Mask) -> Mask:
    """Return the largest component, connected by faces, edges or corners."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: Mask = labels == sizes.argmax()
    return largest


def _fill_holes(mask: Mask) -> Mask:
    """Fill the holes that are not connected to the outside by faces."""
    if not mask.any():
        return mask
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    background, _ = ndimage.label(np.pad(~mask[part], 1, constant_values=True))
    result = mask.copy()
    result[part] = (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return result


def _doubt(probability: Field) -> float:
    inside = np.count_nonzero(probability > THRESHOLD)
    doubtful = np.count_nonzero((probability > 0.1) & (probability < 0.9))
    return doubtful / inside if inside else 1.0
