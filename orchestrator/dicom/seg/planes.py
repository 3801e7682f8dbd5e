"""Planes of the frames of a SEG or map: in the patient like the source images, or in an own frame of reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from orchestrator.dicom.result.source_grid import SourceGrid

_DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    **{"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0)},
    **{"H": (0, 0, 1), "F": (0, 0, -1)},
}
"""Letter of Patient Orientation (biped) -> direction in LPS (PS3.3 C.7.6.1.1.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The planes of a grid's slices; None for unknown values.

    positions: (slice, 3) LPS mm of each slice's first pixel. spacing: distance between (rows, columns) in mm.
    thickness, slice_spacing: in mm. by_position: whether the position identifies a slice.
    """

    positions: npt.NDArray[np.float64] | None
    orientation: Sequence[float] | None
    spacing: Sequence[Any] | None
    thickness: Any = None
    slice_spacing: float | None = None
    by_position: bool = True

    @classmethod
    def of(cls, source: SourceGrid) -> Planes:
        """Return the planes of the source images."""
        has_geometry = bool(source.frame_of_reference)
        return cls(
            positions=source.grid.positions if has_geometry else None,
            orientation=source.orientation if has_geometry else None,
            spacing=source.pixel_spacing,
            thickness=source.first.get("SliceThickness") or source.slice_spacing_mm,
            slice_spacing=source.slice_spacing_mm,
            by_position=has_geometry,
        )

    @classmethod
    def own(cls, source: SourceGrid) -> Planes | None:
        """Return one plane in an own frame of reference, for images without patient geometry.

        Its orientation is the common orientation of the images, its pixel size that of the detector. None where
        either is unknown.
        """
        headers = [source.image_header(frame) for frame in source.grid.frames]
        orientations = {_orientation(header) for header in headers}
        spacing = source.pixel_spacing or source.first.get("ImagerPixelSpacing")
        orientation = orientations.pop() if len(orientations) == 1 else None
        if orientation is None or not spacing:
            return None
        return cls(np.zeros((len(headers), 3)), orientation, spacing, by_position=False)


def _orientation(header: Dataset) -> tuple[float, ...] | None:
    """Return the cosines of rows and columns from either orientation attribute, None where unknown."""
    if header.get("ImageOrientationPatient"):
        return tuple(map(float, header.ImageOrientationPatient))
    letters = header.get("PatientOrientation") or ()
    return _cosines((letters,) if isinstance(letters, str) else tuple(map(str, letters)))


def _cosines(letters: Sequence[str]) -> tuple[float, ...] | None:
    """Return Image Orientation (Patient) for a Patient Orientation of a biped, None where it is invalid."""
    if len(letters) != len(("row", "column")) or not all(set(each) <= set(_DIRECTIONS) and each for each in letters):
        return None
    row, column = (np.sum([_DIRECTIONS[letter] for letter in each], axis=0) for each in letters)
    normal = np.cross(row, column)
    if not normal.any():
        return None
    column = np.cross(normal, row)  # perpendicular to the row
    return (*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column)))
