"""Maps volumes from the LPS grid of this system to the RAS grid of MONAI's readers, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.volume import Affine, Volume
from orchestrator.worker.child.runtimes.packages import require

NEAR_MM = 1e-2
"""Two affines that differ by less are the same grid; resampling there and back leaves such differences."""


def ras_affine(affine: Affine) -> Affine:
    """Return index (column, row, slice) -> RAS mm, from index (slice, row, column) -> LPS mm.

    MONAI's own readers use this order of axes for DICOM images.
    """
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine[:, [2, 1, 0, 3]]


def to_tensor(volume: Volume, *, channel_first: bool) -> Any:
    """Return the volume as MONAI's LoadImage would: a float32 MetaTensor (column, row, slice).

    channel_first: add a channel axis in front, as LoadImage does with ``ensure_channel_first``.
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
    tensor = require("torch", "monai").from_numpy(voxels[None] if channel_first else voxels)
    return require("monai.data", "monai").MetaTensor.ensure_torch_and_prune_meta(tensor, meta)


def to_volume_grid(output: Any, volume: Volume, *, interpolate: bool = False) -> npt.NDArray[np.float32]:
    """Return the output of the postprocessing as (channel, slice, row, column) on the grid of the volume.

    If the bundle did not invert its preprocessing, each voxel gets the value of the nearest voxel of the output.
    interpolate: interpolate linearly instead, as for the values of a map.
    Raises ValueError for a tensor without a position.
    """
    assert volume.affine is not None
    data = require("monai.data", "monai")
    if not isinstance(output, data.MetaTensor):
        raise ValueError("the bundle's postprocessing returns no MetaTensor, so the position of its voxels is unknown")
    affine, size = ras_affine(volume.affine), volume.shape[::-1]
    if tuple(output.shape[1:]) != size or not np.allclose(output.affine.cpu().numpy(), affine, atol=NEAR_MM):
        mode = "bilinear" if interpolate else "nearest"
        resample = require("monai.transforms", "monai").SpatialResample(mode=mode, padding_mode="zeros")
        output = resample(output, dst_affine=affine, spatial_size=size)
    values: npt.NDArray[np.float32] = output.detach().cpu().numpy().astype(np.float32, copy=False)
    return values.transpose(0, 3, 2, 1)
