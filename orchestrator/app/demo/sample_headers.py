"""Synthetic DICOM headers for public images; each header says that it is synthetic."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from orchestrator.domain.volume import Affine

_NAMESPACE = uuid.UUID("0a3a0c53-6f0c-4f9c-9a52-5f6a9d1f7c11")
_DATE, _TIME = "20260105", "093000"


def uid(*names: object) -> UID:
    """Return a UID derived from these names: each run of the demo writes the same series."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, repr(names)).int}")


def header(kind: str, patient: str, source: str, sop_class: str, number: int = 1) -> Dataset:
    """Return the patient, study, series, equipment and SOP modules of one image.

    kind: names study and series. source: origin of the pixels, for Image Comments (0020,4000).
    """
    dataset = Dataset()
    _set(
        dataset,
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=sop_class,
        SOPInstanceUID=uid("image", kind, number),
        StudyInstanceUID=uid("study", kind),
        SeriesInstanceUID=uid("series", kind),
        PatientName=patient,
        PatientID=f"DEMO-{kind.upper()}",
        PatientBirthDate="19800101",
        PatientSex="O",
        PatientAge="046Y",
        StudyID=kind.upper()[:16],
        AccessionNumber=f"DEMO-{kind.upper()}"[:16],
        ReferringPhysicianName="",
        **dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), _DATE),
        **dict.fromkeys(("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"), _TIME),
        SeriesNumber=1,
        AcquisitionNumber=1,
        InstanceNumber=number,
        Manufacturer="radiology-orchestrator",
        ManufacturerModelName="sample writer",
        DeviceSerialNumber="0",
        SoftwareVersions="1",
        ImageComments=f"real anatomy, synthetic headers: {source}",
    )
    return dataset


def mr_slice(dataset: Dataset) -> Dataset:
    """Return the dataset with the attributes of an MPRAGE; the numbers are typical, not measured."""
    return _set(
        dataset,
        Modality="MR",
        ImageType=["DERIVED", "SECONDARY", "OTHER"],
        StudyDescription="MR HEAD",
        SeriesDescription="T1 MPRAGE",
        ProtocolName="T1 MPRAGE",
        BodyPartExamined="HEAD",
        ScanningSequence=["GR", "IR"],
        SequenceVariant=["SK", "SP", "MP"],
        ScanOptions="",
        MRAcquisitionType="3D",
        RepetitionTime="2300",
        EchoTime="2.98",
        InversionTime="900",
        EchoTrainLength=1,
        FlipAngle="9",
        MagneticFieldStrength="3",
    )


def ct_slice(dataset: Dataset, description: str) -> Dataset:
    """Return the dataset with the attributes of a CT; stored values are HU."""
    return _set(
        dataset,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "AXIAL"],
        StudyDescription="CT HEAD",
        SeriesDescription=description,
        BodyPartExamined="HEAD",
        KVP="120",
        RescaleIntercept="0",
        RescaleSlope="1",
        RescaleType="HU",
    )


def slices(
    voxels: npt.NDArray[np.int16], affine: Affine, kind: str, patient: str, source: str, modality: str
) -> list[Dataset]:
    """Return one dataset for each slice of the voxels (slice, row, column); affine: index -> LPS mm."""
    sop_class = {"MR": MRImageStorage, "CT": CTImageStorage}[modality]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    along_row, along_column = affine[:3, 2] / spacing[2], affine[:3, 1] / spacing[1]
    datasets = []
    for index, pixels in enumerate(voxels):
        position = affine[:3, 3] + index * affine[:3, 0]
        dataset = header(kind, patient, source, sop_class, index + 1)
        _set(
            dataset,
            FrameOfReferenceUID=uid("frame of reference", kind),
            PositionReferenceIndicator="",
            PatientPosition="HFS",
            ImagePositionPatient=_decimals(position),
            ImageOrientationPatient=_decimals([*along_row, *along_column]),
            PixelSpacing=_decimals(spacing[1:]),
            SliceThickness=_decimals(spacing[:1])[0],
            SpacingBetweenSlices=_decimals(spacing[:1])[0] if modality == "MR" else None,
        )
        put_grey(dataset, pixels)
        datasets.append(dataset)
    return datasets


def picture(original: Dataset, kind: str, patient: str, source: str) -> Dataset:
    """Return a radiograph or ultrasound with the encoded pixels of the original, without its patient."""
    dataset = header(kind, patient, source, original.SOPClassUID)
    for keyword in _PIXELS:
        if keyword in original:
            dataset[keyword] = original[keyword]
    attributes: dict[str, str] = {
        ComputedRadiographyImageStorage: {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
        UltrasoundImageStorage: {"Modality": "US", "Laterality": ""},
    }[original.SOPClassUID]
    _set(dataset, ImageType=["DERIVED", "SECONDARY"], **attributes)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = original.file_meta.TransferSyntaxUID
    return dataset


_PIXELS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth", "PatientOrientation", "PixelData"),
)


def put_grey(dataset: Dataset, pixels: npt.NDArray[np.int16]) -> None:
    """Set the pixel module for signed grey values (row, column) of 16 bits."""
    _set(
        dataset,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=1,
    )
    dataset.add_new("PixelData", "OW", pixels.astype("<i2").tobytes())


def save(datasets: Sequence[Dataset], folder: Path) -> None:
    """Write the datasets as ``0001.dcm`` ... into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for dataset in datasets:
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(folder / f"{dataset.InstanceNumber:04}.dcm", enforce_file_format=True)


def _set(dataset: Dataset, **values: Any) -> Dataset:
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def _decimals(values: Sequence[float] | npt.NDArray[np.float64]) -> list[str]:
    return [format_number_as_ds(float(value)) for value in values]
