"""Writes exact copies of a volume in another storage order: turned, thinned or cut, never interpolated."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from orchestrator.domain.volume import Affine, Volume, Voxels
from orchestrator.testing.headers import decimals, put
from orchestrator.testing.pixels import encode, put_pixels

_REPLACED = frozenset(
    (
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("SpacingBetweenSlices", "SliceLocation", "SamplesPerPixel", "PhotometricInterpretation"),
        *("PlanarConfiguration", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit"),
        *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "ImagesInAcquisition"),
        *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "InstanceNumber", "NumberOfFrames"),
        *("FrameIncrementPointer", "FrameTime", "IconImageSequence", "NumberOfSlices"),
    )
)
_ANONYMOUS = {"PatientName": "Copy^For Checks", "PatientID": "CHECK", "AccessionNumber": ""}


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Voxels with the header that all their images share.

    voxels: (slice, row, column), or (slice, row, column, 3) in colour.
    affine: index -> LPS mm, None for images without patient geometry.
    series_uid: of the source. name: name of this copy. All UIDs of the copy are derived from both.
    motion: how the body was moved, LPS mm -> LPS mm.
    """

    header: Dataset
    voxels: Voxels
    affine: Affine | None
    series_uid: str
    name: str = "as it is"
    motion: Affine = field(default_factory=lambda: np.eye(4))

    @classmethod
    def of(cls, volume: Volume, image: Path) -> Stack:
        """Return a volume with the header of one of its images, ready to be written again.

        Name, patient ID and accession number are replaced; private elements and overlays are removed.
        """
        source = dcmread(image, stop_before_pixels=True)
        header = Dataset()
        for element in source:
            overlay = 0x6000 <= element.tag.group <= 0x60FF
            if not (element.tag.is_private or overlay or element.keyword in _REPLACED):
                header.add(element)
        put(header, _ANONYMOUS)
        return cls(header, volume.voxels, volume.affine, str(source.SeriesInstanceUID))

    def turned(self, name: str, axes: tuple[int, int, int], flips: Collection[int] = ()) -> Stack:
        """Return the same body with its axes in this order, and the new axes in ``flips`` reversed.

        Raises ValueError where this would mirror the body: no storage order can do that.
        """
        assert self.affine is not None
        transform = np.zeros((4, 4))
        transform[3, 3] = 1
        for new, old in enumerate(axes):
            transform[old, new] = -1 if new in flips else 1
            transform[old, 3] = self.voxels.shape[old] - 1 if new in flips else 0
        if np.linalg.det(transform) < 0:
            raise ValueError(
                f"axes {axes} with reversed axes {sorted(flips)} would mirror the body; reverse one more or one less"
            )
        voxels = np.flip(self.voxels.transpose(axes), tuple(flips))
        return replace(self, voxels=voxels, affine=self.affine @ transform, name=name)

    def rotated(self, name: str, rotation: npt.NDArray[np.float64]) -> Stack:
        """Return the same images of a body that is rotated (3, 3) about the middle of the grid."""
        assert self.affine is not None
        middle = self.affine @ [*(np.array(self.voxels.shape[:3]) - 1) / 2, 1]
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = middle[:3] - rotation @ middle[:3]
        return replace(self, affine=transform @ self.affine, name=name, motion=transform @ self.motion)

    def thinned(self, name: str, axis: int) -> Stack:
        """Return every second voxel along the axis, at twice the spacing."""
        selection = tuple(slice(None, None, 2 if along == axis else 1) for along in range(3))
        affine = self.affine
        if affine is not None:
            affine = affine @ np.diag([2.0 if along == axis else 1.0 for along in range(4)])
        return replace(self, voxels=self.voxels[selection], affine=affine, name=name)

    def one_slice(self, name: str, index: int) -> Stack:
        """Return a stack of this slice only."""
        affine = self.affine
        if affine is not None:
            affine = affine.copy()
            affine[:3, 3] += index * affine[:3, 0]
        return replace(self, voxels=self.voxels[index : index + 1], affine=affine, name=name)

    def blank(self, name: str) -> Stack:
        """Return the same images, all voxels set to the lowest value."""
        return replace(self, voxels=np.full_like(self.voxels, self.voxels.min()), name=name)

    def write(
        self, folder: Path, *, without: Collection[int] = (), descending: bool = False, inverted: bool = False
    ) -> list[Path]:
        """Write one file per slice and return the paths.

        without: slices to omit. descending: reverse the order of names and instance numbers.
        inverted: store as MONOCHROME1; the images look the same.
        """
        folder.mkdir(parents=True, exist_ok=True)
        pixels, slope, intercept = _to_whole_numbers(self.voxels)
        paths = []
        present = [index for index in range(len(pixels)) if index not in without]
        for number, index in enumerate(reversed(present) if descending else present, start=1):
            dataset = Dataset()
            dataset.update(self.header)
            put(dataset, self._identity(index, number) | self._plane(index))
            if (slope, intercept) != (1.0, 0.0) or dataset.get("Modality") in {"CT", "PT"}:
                put(dataset, {"RescaleSlope": decimals([slope])[0], "RescaleIntercept": decimals([intercept])[0]})
            _put_pixels(dataset, pixels[index], inverted=inverted)
            paths.append(folder / f"IM{number:05}.dcm")
            encode(dataset, ExplicitVRLittleEndian).save_as(paths[-1], enforce_file_format=True)
        return paths

    def _identity(self, index: int, number: int) -> dict[str, Any]:
        return {
            "SOPInstanceUID": _uid(self.series_uid, self.name, index),
            "SeriesInstanceUID": _uid(self.series_uid, self.name),
            "StudyInstanceUID": _uid(self.series_uid),
            "InstanceNumber": number,
        }

    def _plane(self, index: int) -> dict[str, Any]:
        if self.affine is None:
            return {}
        spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
        along = self.affine[:3, :3] / spacing
        return {
            "ImagePositionPatient": decimals(self.affine[:3, 3] + index * self.affine[:3, 0]),
            "ImageOrientationPatient": decimals([*along[:, 2], *along[:, 1]]),
            "PixelSpacing": decimals(spacing[1:]),
            "SliceThickness": decimals(spacing[:1])[0],
        }


def is_upright(affine: Affine) -> bool:
    """Return whether the axes are perpendicular; only then can the slices run along another axis."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(directions.T @ directions, np.eye(3), atol=1e-3))


def _to_whole_numbers(voxels: Voxels) -> tuple[Voxels, float, float]:
    """Return the voxels as whole numbers of at most 16 bits, with the slope and intercept to restore them."""
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 2:
        return voxels, 1.0, 0.0
    low, high = float(voxels.min()), float(voxels.max())
    slope = (high - low) / np.iinfo(np.uint16).max or 1.0
    return np.round((voxels - low) / slope).astype(np.uint16), slope, low


def _put_pixels(dataset: Dataset, pixels: Voxels, *, inverted: bool) -> None:
    if pixels.ndim == 3:
        colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
        put(dataset, colour | bits | {"Rows": pixels.shape[0], "Columns": pixels.shape[1]})
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OB"
        return
    depth = pixels.dtype.itemsize * 8
    if inverted:
        limits = np.iinfo(pixels.dtype)
        pixels = (int(limits.max) + int(limits.min) - pixels.astype(np.int64)).astype(pixels.dtype)
    put_pixels(dataset, pixels, bits=(depth, depth), signed=pixels.dtype.kind == "i")
    if inverted:
        dataset.PhotometricInterpretation = "MONOCHROME1"


def _uid(*names: object) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, repr(names)).int}"
