"""A synthetic body with one lesion of known position, as the slices of a scanner."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from orchestrator.domain.volume import Affine
from orchestrator.testing.headers import Patient, acquisition, decimals, equipment, put, study
from orchestrator.testing.pixels import encode, put_pixels

_TURN = math.radians(20)
ORIENTATIONS: Mapping[str, tuple[float, ...]] = {
    "axial": (1, 0, 0, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (math.cos(_TURN), math.sin(_TURN), 0, -math.sin(_TURN) * 0.6, math.cos(_TURN) * 0.6, 0.8),
    "feet-first": (-1, 0, 0, 0, 1, 0),  # the normal points to the feet
    "prone": (-1, 0, 0, 0, -1, 0),
}
"""Name -> Image Orientation (Patient), LPS (PS3.3 C.7.6.2.1.1); normal = row x column."""

_POSITIONS = {"feet-first": "FFS", "prone": "HFP"}
_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
_VALUES = {"CT": (-1000.0, 40.0, 400.0), "MR": (0.0, 300.0, 900.0), "PT": (0.0, 1000.0, 9000.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """An ellipsoid in the patient: centre in LPS mm from the centre of the grid, half axes along L, P, S in mm.

    By default a sphere on the patient's left in each named orientation, off the centre on every axis. Its radius is
    a quarter of the smallest extent of the grid.
    """

    centre_mm: tuple[float, float, float] | None = None
    radii_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """The description of a synthetic series: geometry, encoding, faults and true voxels.

    spacing: between (slices, rows, columns) in mm. centre: of the grid, LPS mm.
    orientation: a name of ORIENTATIONS or six direction cosines.
    order: ascending, reversed or shuffled: order of instance numbers and file names along the positions.
    missing, duplicate: indices of slices to omit, or to write twice with different SOP Instance UIDs.
    tilt_degrees: gantry tilt; each slice is shifted along the columns (a sheared grid).
    time_points: number of copies of the whole stack, each with its own time.
    slope, intercept: rescale values, one number or one per slice; None omits the elements.
    values: values of air, tissue and lesion, in the unit of the modality.
    bits: allocated and stored. padding: Pixel Padding Value, written in the corners of each slice.
    attributes: attributes to set on every instance (None deletes one). edit: called last with (dataset, slice index).
    seed: seed of the noise and of all UIDs.
    """

    modality: str = "CT"
    slices: int = 20
    rows: int = 64
    columns: int = 64
    spacing: tuple[float, float, float] = (3.0, 0.8, 0.7)
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    orientation: str | Sequence[float] = "axial"
    order: str = "ascending"
    missing: Sequence[int] = ()
    duplicate: Sequence[int] = ()
    tilt_degrees: float = 0.0
    time_points: int = 1
    transfer_syntax: str = ExplicitVRLittleEndian
    slope: float | Sequence[float] | None = 1.0
    intercept: float | Sequence[float] | None = None
    bits: tuple[int, int] = (16, 16)
    signed: bool = True
    padding: int | None = None
    lesion: Lesion = field(default_factory=Lesion)
    values: tuple[float, float, float] | None = None
    patient: Patient = field(default_factory=Patient)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    edit: Callable[[Dataset, int], None] | None = None
    seed: str = "orchestrator"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the whole grid, missing slices included."""
        return self.slices, self.rows, self.columns

    @property
    def directions(self) -> npt.NDArray[np.float64]:
        """(2, 3): the LPS unit vectors along a row and along a column."""
        cosines = ORIENTATIONS[self.orientation] if isinstance(self.orientation, str) else self.orientation
        return np.array(cosines, dtype=np.float64).reshape(2, 3)

    @property
    def affine(self) -> Affine:
        """(4, 4): index (slice, row, column) -> LPS mm."""
        along_row, along_column = self.directions
        slice_mm, row_mm, column_mm = self.spacing
        step = np.cross(along_row, along_column) + math.tan(math.radians(self.tilt_degrees)) * along_column
        affine = np.eye(4)
        affine[:3, :3] = np.stack([step * slice_mm, along_column * row_mm, along_row * column_mm], axis=1)
        affine[:3, 3] = np.array(self.centre) - affine[:3, :3] @ ((np.array(self.shape) - 1) / 2)
        return affine

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """(slice, row, column, 3): LPS mm of each voxel's centre."""
        index = np.stack(np.meshgrid(*map(np.arange, self.shape), indexing="ij"), axis=-1)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    @property
    def lesion_centre(self) -> npt.NDArray[np.float64]:
        """LPS mm of the lesion's centre; the default centre lies on a voxel."""
        if self.lesion.centre_mm is not None:
            return np.asarray(self.centre) + self.lesion.centre_mm
        towards = np.sign(np.round(self.affine[:3, :3], 6)).sum(axis=0)
        away = np.where(towards < 0, -1, 1) * (0.1, -0.12, 0.15)
        index = np.round((np.array(self.shape) - 1) / 2 + away * self.shape)
        return np.asarray(self.affine[:3, :3] @ index + self.affine[:3, 3])

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(slice, row, column): the mask of the lesion."""
        radius = 0.25 * min(np.array(self.shape) * self.spacing)
        radii = self.lesion.radii_mm or (radius, radius, radius)
        return np.asarray((((self.points - self.lesion_centre) / radii) ** 2).sum(axis=-1) <= 1.0)

    @property
    def centroid(self) -> npt.NDArray[np.float64]:
        """LPS mm of the mean position of the lesion's voxels."""
        return np.asarray(self.points[self.mask].mean(axis=0))

    @property
    def stored(self) -> npt.NDArray[np.int64]:
        """(slice, row, column): the stored values, before the rescale."""
        air, tissue, lesion = self.values or _VALUES[self.modality]
        row, column = np.meshgrid(np.linspace(-1, 1, self.rows), np.linspace(-1, 1, self.columns), indexing="ij")
        noise = np.random.default_rng(list(self.seed.encode())).normal(0, abs(lesion - tissue) / 50, self.shape)
        values = np.where(row**2 + column**2 < 0.85, tissue + noise, air)
        values = np.where(self.mask, lesion, values)
        result = np.round((values - self._rescale("intercept")) / self._rescale("slope")).astype(np.int64)
        if self.padding is not None:
            result[:, : self.rows // 8, : self.columns // 8] = self.padding
        return result

    @property
    def voxels(self) -> npt.NDArray[np.float64]:
        """(slice, row, column): the true values in HU or Bq/ml, or the stored values for MR."""
        return np.asarray(self.stored * self._rescale("slope") + self._rescale("intercept"))

    def _rescale(self, name: str) -> npt.NDArray[np.float64]:
        value, default = getattr(self, name), {"slope": 1.0, "intercept": 0.0}[name]
        return np.broadcast_to(default if value is None else value, self.slices).reshape(-1, 1, 1).astype(np.float64)

    def uid(self, *names: object) -> str:
        """Return a UID derived from the seed and these names."""
        return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, repr((self.seed, *names))).int}"

    def datasets(self) -> list[Dataset]:
        """Return one dataset per image, in the order of the files."""
        pixels = self.stored
        present = [index for index in range(self.slices) if index not in set(self.missing)]
        images = [(index, time, 0) for time in range(self.time_points) for index in present]
        images += [(index, 0, 1) for index in self.duplicate]
        numbers = np.arange(len(images))
        if self.order == "reversed":
            numbers = numbers[::-1]
        elif self.order == "shuffled":
            numbers = np.random.default_rng(7).permutation(numbers)
        ordered_images = sorted(zip(numbers.tolist(), images, strict=True))
        return [self._image(pixels[image[0]], *image, number + 1) for number, image in ordered_images]

    def write(self, folder: Path) -> list[Path]:
        """Write the images as ``IM0001.dcm``, ``IM0002.dcm`` ...; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, dataset in enumerate(self.datasets(), start=1):
            paths.append(folder / f"IM{number:04}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
        return paths

    def _image(self, pixels: npt.NDArray[np.int64], index: int, time: int, copy: int, number: int) -> Dataset:
        dataset = Dataset()
        put(dataset, study(self.patient) | equipment() | acquisition(self.modality, index, self.slices))
        put(
            dataset,
            self._identity(index, time, copy, number) | self._plane(index) | self._rescale_attributes(index),
        )
        if self.time_points > 1:
            dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = time + 1, self.time_points
        put_pixels(dataset, pixels, bits=self.bits, signed=self.signed)
        if self.padding is not None:
            dataset.PixelPaddingValue = self.padding
        put(dataset, self.attributes)
        if self.edit is not None:
            self.edit(dataset, index)
        return encode(dataset, self.transfer_syntax)

    def _identity(self, index: int, time: int, copy: int, number: int) -> dict[str, Any]:
        return {
            "SOPClassUID": _CLASSES[self.modality],
            "SOPInstanceUID": self.uid("image", self.modality, index, time, copy),
            "StudyInstanceUID": self.uid("study"),
            "SeriesInstanceUID": self.uid("series", self.modality),
            "FrameOfReferenceUID": self.uid("frame of reference"),
            "PositionReferenceIndicator": "",
            "SeriesDescription": f"{self.modality} phantom",
            "InstanceNumber": number,
            "AcquisitionNumber": time + 1,
            "AcquisitionTime": f"1015{time:02}",
        }

    def _plane(self, index: int) -> dict[str, Any]:
        position = self.affine[:3] @ (index, 0, 0, 1)
        name = self.orientation if isinstance(self.orientation, str) else ""
        return {
            "PatientPosition": _POSITIONS.get(name, "HFS") if self.modality != "PT" else None,  # PET has codes for it
            "ImagePositionPatient": decimals(position),
            "ImageOrientationPatient": decimals(self.directions.ravel()),
            "PixelSpacing": decimals(self.spacing[1:]),
            "SliceThickness": decimals(self.spacing[:1])[0],
            "SliceLocation": decimals(position @ np.cross(*self.directions)[:, None])[0],
        }

    def _rescale_attributes(self, index: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.slope is not None or self.intercept is not None or self.modality == "CT":
            values["RescaleIntercept"] = decimals(self._rescale("intercept")[index].ravel())[0]
            values["RescaleSlope"] = decimals(self._rescale("slope")[index].ravel())[0]
        if self.modality == "CT":
            values["RescaleType"] = "HU"
        return values if self.modality != "MR" or self.slope != 1.0 or self.intercept is not None else {}
