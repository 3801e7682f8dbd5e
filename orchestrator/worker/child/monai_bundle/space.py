"""From our grid, in LPS, to the one that MONAI reads from files, in RAS, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.volume import Affine, Volume
from orchestrator.worker.child.runtimes.packages import required

NEAR_MM = 1e-2
"""Two affines that differ by less are one grid: resampling there and back leaves such remains."""


def ras_affine(affine: Affine) -> Affine:
    """Return index (column, row, slice) -> RAS mm, from index (slice, row, column) -> LPS mm.

    That order of axes is what MONAI's own readers give for the same DICOM images.
    """
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine[:, [2, 1, 0, 3]]


def image(volume: Volume, *, channel_first: bool) -> Any:
    """Return the volume as the MetaTensor (column, row, slice), float32, that MONAI's LoadImage would give.

    channel_first: with a channel axis in front, as LoadImage with ``ensure_channel_first``.
    """
    assert volume.affine is not None
    voxels = np.ascontiguousarray(volume.voxels.transpose(2, 1, 0), dtype=np.float32)
    affine = ras_affine(volume.affine)
    meta = {
        "affine": affine,
        "original_affine": affine.copy(),
        "space": "RAS",
        "spatial_shape": np.array(voxels.shape),
        "original_channel_dim": 0 if channel_first else float("nan"),
        "filename_or_obj": "volume",
    }
    tensor = required("torch", "monai").from_numpy(voxels[None] if channel_first else voxels)
    return required("monai.data", "monai").MetaTensor.ensure_torch_and_prune_meta(tensor, meta)


def on_own_grid(given: Any, volume: Volume, *, between: bool = False) -> npt.NDArray[np.float32]:
    """Return (channel, slice, row, column) of what the postprocessing gave, on the volume's own grid.

    Where the bundle did not invert its preprocessing, each of our voxels gets the value of the nearest of its;
    between: it is interpolated linearly, as the values of a map are.
    Raises ValueError for a tensor that does not say where it lies.
    """
    assert volume.affine is not None
    data = required("monai.data", "monai")
    if not isinstance(given, data.MetaTensor):
        raise ValueError("the bundle's postprocessing gives no MetaTensor: where its voxels lie is unknown")
    affine, size = ras_affine(volume.affine), volume.shape[::-1]
    if tuple(given.shape[1:]) != size or not np.allclose(given.affine.cpu().numpy(), affine, atol=NEAR_MM):
        mode = "bilinear" if between else "nearest"
        resample = required("monai.transforms", "monai").SpatialResample(mode=mode, padding_mode="zeros")
        given = resample(given, dst_affine=affine, spatial_size=size)
    values: npt.NDArray[np.float32] = given.detach().cpu().numpy().astype(np.float32, copy=False)
    return values.transpose(0, 3, 2, 1)
