"""Finds the brain in two looks: where it is, in a coarse cube of the whole volume; then its outline, in a fine one.

The method is that of deepbet (Fisch et al., Comput Biol Med 179:108845, 2024); the networks are its
networks, everything around them is written anew for volumes with an affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from orchestrator_brain_mask.grid import Field, Frame

COARSE_POINTS = 128
FINE_POINTS = 256
MARGIN = 0.1
"""Added to the box around the brain on each side, as a part of its size."""
LEAST_OF_A_PLANE = 0.02
"""A plane of the coarse cube belongs to the brain's box when more than this part of it is brain."""
THRESHOLD = 0.5

Mask = npt.NDArray[np.bool_]


class Network(Protocol):
    """Gives the probability of brain for a normalised cube (R, A, S)."""

    def __call__(self, cube: Field) -> Field:
        """Return the probability in each cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """What the networks found, on the grid of the volume.

    mask: bool, one component without holes; all False where the networks see no brain.
    doubt: voxels with a probability between 0.1 and 0.9, as a part of those above 0.5.
    """

    mask: Mask
    doubt: float


def find_brain(voxels: npt.NDArray[Any], frame: Frame, coarse: Network, fine: Network) -> Brain:
    """Return the brain in a volume (slice, row, column) that lies in the frame."""
    whole = frame.box()
    cube = frame.sample(voxels, whole, COARSE_POINTS)
    low, high = np.quantile(cube, (0.005, 0.995))
    nothing = Brain(np.zeros(voxels.shape, dtype=bool), doubt=1.0)
    if not high > low:
        return nothing
    place = _extent(_largest_component(coarse(_normalized(cube, low, high)) > THRESHOLD))
    if place is None:
        return nothing
    box = whole.part(*place, COARSE_POINTS)
    probability = fine(_normalized(frame.sample(voxels, box, FINE_POINTS), low, high))
    on_source = frame.bring_back(probability, box)
    return Brain(_filled(_largest_component(on_source > THRESHOLD)), _doubt(probability))


class OnnxNetwork:
    """A network in ONNX Runtime on the CPU or a CUDA device."""

    def __init__(self, path: Path, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # threads that spin between operators would take the cores of the worker beside this one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
        self.device = "cpu" if self._session.get_providers()[0] == "CPUExecutionProvider" else device

    def __call__(self, cube: Field) -> Field:
        """Return the probability of brain, the second of the two classes."""
        (probability,) = self._session.run(None, {"volume": cube[np.newaxis, np.newaxis]})
        brain: Field = probability[0, 1]
        return brain


def _providers(device: str) -> list[Any]:
    import onnxruntime

    if not device.startswith("cuda") or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    number = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]


def _normalized(cube: Field, low: float, high: float) -> Field:
    """Return the cube cut at the two values, with the mean 0.449 and deviation 0.226 of the training data."""
    cut = np.clip((cube - np.float32(low)) / np.float32(high - low), 0, 1)
    deviation = cut.std(dtype=np.float64)
    if deviation == 0:
        return np.full_like(cut, 0.449)
    result: Field = ((cut - cut.mean(dtype=np.float64)) * (0.226 / deviation) + 0.449).astype(np.float32)
    return result


def _extent(mask: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return the first and last edge of the brain in cells, margin included, or None without a brain."""
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
    """Return the largest part that hangs together by faces, edges or corners."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: Mask = labels == sizes.argmax()
    return largest


def _filled(mask: Mask) -> Mask:
    """Return the mask with every hole filled that no path of faces joins to the outside."""
    if not mask.any():
        return mask
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    background, _ = ndimage.label(np.pad(~mask[part], 1, constant_values=True))
    filled = mask.copy()
    filled[part] = (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def _doubt(probability: Field) -> float:
    inside = np.count_nonzero(probability > THRESHOLD)
    unsure = np.count_nonzero((probability > 0.1) & (probability < 0.9))
    return unsure / inside if inside else 1.0
