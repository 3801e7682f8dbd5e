"""The input of a model: voxels, their position in the patient, and non-identifying facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[Any]
"""(slice, row, column), or (slice, row, column, 3) where a model asked for colour."""

Affine = npt.NDArray[np.float64]
"""(4, 4): index (slice, row, column, 1) -> patient coordinates LPS in mm (PS3.3 C.7.6.2.1.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One stack of images on one grid.

    voxels: (slice, row, column), int16, uint16, int32, uint8 or float32, in ``unit``;
        read-only, memory-mapped. RGB is (slice, row, column, 3) uint8.
    affine: index (slice, row, column) -> LPS mm; None where the images have no place in the
        patient (CR, DX, US, Secondary Capture) or no common grid.
    unit: UCUM, ``[hnsf'U]`` for CT; ``1`` where the values have none.
    positions: (slice, 3) LPS mm of each slice's first pixel; None without patient geometry.
    facts: DICOM keyword -> value, non-identifying attributes only.
    """

    voxels: Voxels
    affine: Affine | None
    unit: str = "1"
    modality: str = ""
    positions: npt.NDArray[np.float64] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        slices, rows, columns = self.voxels.shape[:3]
        return slices, rows, columns

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Distance between neighbouring voxels along (slice, row, column) in mm."""
        if self.affine is None:
            return None
        slice_mm, row_mm, column_mm = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(slice_mm), float(row_mm), float(column_mm)

    @property
    def voxel_ml(self) -> float | None:
        """Volume of one voxel in ml: |determinant| of the affine, so a sheared grid is right too."""
        if self.affine is None:
            return None
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
