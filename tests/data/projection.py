"""Images without a place in the patient: radiographs, ultrasound cine loops, secondary captures."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from orchestrator.testing import Patient, Phantom, encode, put_pixels

LESION = (slice(10, 20), slice(30, 44))
"""Rows and columns of the bright square in each image."""


def cr_image(
    folder: Path,
    *,
    rows: int = 96,
    columns: int = 80,
    photometric: str = "MONOCHROME2",
    number: int = 1,
    seed: str = "cr",
    **attributes: Any,
) -> Path:
    """Write one radiograph, 12 bits in 16, and return its path; the lesion is bright when shown."""
    stored = np.full((rows, columns), 400)
    stored[LESION] = 3000
    if photometric == "MONOCHROME1":
        stored = 4095 - stored
    dataset = _image(ComputedRadiographyImageStorage, "CR", number, seed)
    put_pixels(dataset, stored, bits=(16, 12), signed=False)
    dataset.PhotometricInterpretation = photometric
    dataset.ViewPosition, dataset.BodyPartExamined, dataset.PatientOrientation = "PA", "CHEST", ["L", "F"]
    dataset.ImagerPixelSpacing = ["0.2", "0.15"]
    return _save(dataset, folder, number, attributes)


def us_cine(
    folder: Path, *, frames: int = 5, rows: int = 48, columns: int = 64, seed: str = "us", **attributes: Any
) -> Path:
    """Write one colour ultrasound loop and return its path; the lesion is white, the rest dark red."""
    stored = np.zeros((frames, rows, columns, 3), np.uint8)
    stored[..., 0] = 60
    stored[:, LESION[0], LESION[1]] = 255
    dataset = _image(UltrasoundMultiFrameImageStorage, "US", 1, seed)
    dataset.NumberOfFrames, dataset.FrameTime = frames, "40"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.LossyImageCompression, dataset.ImageType = "00", ["ORIGINAL", "PRIMARY", "", "0001"]
    _colour(dataset, stored)
    return _save(dataset, folder, 1, attributes)


def secondary_capture(folder: Path, *, rows: int = 64, columns: int = 64, seed: str = "sc", **attributes: Any) -> Path:
    """Write one RGB screen capture and return its path."""
    stored = np.zeros((rows, columns, 3), np.uint8)
    stored[LESION] = (250, 240, 10)
    dataset = _image(SecondaryCaptureImageStorage, "OT", 1, seed)
    dataset.ConversionType = "WSD"
    _colour(dataset, stored)
    return _save(dataset, folder, 1, attributes)


def _image(sop_class: str, modality: str, number: int, seed: str) -> Dataset:
    phantom = Phantom(seed=seed, patient=Patient())
    dataset = phantom.datasets()[0]
    keep = Dataset()
    for element in dataset:
        if element.tag.group in {0x0008, 0x0010, 0x0020} and element.keyword not in _PLANE:
            keep.add(element)
    keep.SOPClassUID, keep.Modality, keep.InstanceNumber = sop_class, modality, number
    keep.SOPInstanceUID = phantom.uid("projection", modality, number)
    keep.SeriesInstanceUID, keep.SeriesDescription = phantom.uid("series", modality), f"{modality} phantom"
    keep.ImageType = ["ORIGINAL", "PRIMARY"]
    return keep


_PLANE = {
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SliceLocation",
}


def _colour(dataset: Dataset, stored: np.ndarray) -> None:
    dataset.Laterality, dataset.PatientOrientation = "", ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = stored.shape[-3:-1]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB"


def _save(dataset: Dataset, folder: Path, number: int, attributes: dict[str, Any]) -> Path:
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"IM{number:04}.dcm"
    encode(dataset, ExplicitVRLittleEndian).save_as(path, enforce_file_format=True)
    return path
