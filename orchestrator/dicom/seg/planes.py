"""Where the frames of an object lie: in the patient, as its source does, or on a plane of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from orchestrator.dicom.result.source import Source

_DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    **{"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0)},
    **{"H": (0, 0, 1), "F": (0, 0, -1)},
}
"""LPS of the letters of a Patient Orientation of bipeds (PS3.3 C.7.6.1.1.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The planes of a grid's slices; None for what is unknown of them.

    positions: (slice, 3) LPS mm of each slice's first pixel. spacing: between (rows, columns) in mm.
    thickness, between: of and between slices in mm. by_place: whether a slice's place tells it from the others.
    """

    positions: npt.NDArray[np.float64] | None
    orientation: Sequence[float] | None
    spacing: Sequence[Any] | None
    thickness: Any = None
    between: float | None = None
    by_place: bool = True

    @classmethod
    def of(cls, source: Source) -> Planes:
        """Return the planes of the source images."""
        placed = bool(source.frame_of_reference)
        return cls(
            positions=source.grid.positions if placed else None,
            orientation=source.orientation if placed else None,
            spacing=source.pixel_spacing,
            thickness=source.first.get("SliceThickness") or source.slice_spacing_mm,
            between=source.slice_spacing_mm,
            by_place=placed,
        )

    @classmethod
    def own(cls, source: Source) -> Planes | None:
        """Return one plane, in a frame of reference of its own, for images without a place in the patient.

        Its directions are those that all the images state, and the size of its pixels is the detector's; None
        where either is unknown: nothing is invented.
        """
        headers = [source.image_header(frame) for frame in source.grid.frames]
        stated = {_orientation(header) for header in headers}
        spacing = source.pixel_spacing or source.first.get("ImagerPixelSpacing")
        orientation = stated.pop() if len(stated) == 1 else None
        if orientation is None or not spacing:
            return None
        return cls(np.zeros((len(headers), 3)), orientation, spacing, by_place=False)


def _orientation(header: Dataset) -> tuple[float, ...] | None:
    """Return the directions of rows and columns, of a slice that is looked at alone too; None where unknown."""
    if header.get("ImageOrientationPatient"):
        return tuple(map(float, header.ImageOrientationPatient))
    found = header.get("PatientOrientation") or ()
    return _cosines((found,) if isinstance(found, str) else tuple(map(str, found)))


def _cosines(letters: Sequence[str]) -> tuple[float, ...] | None:
    """Return Image Orientation (Patient) of a Patient Orientation, None where it is none of a biped."""
    if len(letters) != len(("row", "column")) or not all(set(each) <= set(_DIRECTIONS) and each for each in letters):
        return None
    row, column = (np.sum([_DIRECTIONS[letter] for letter in each], axis=0) for each in letters)
    normal = np.cross(row, column)
    if not normal.any():
        return None
    column = np.cross(normal, row)  # at a right angle to the row, whatever the letters are
    return (*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column)))
