"""Header attributes of synthetic images: a fictitious patient and scanner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A fictitious patient; ``character_set`` is that of the name, several are separated by backslashes (PS3.5 6.1)."""

    patient_id: str = "PHANTOM-1"
    issuer: str = "ORCHESTRATOR"
    name: str = "Phantom^Synthetic"
    birth_date: str = "19600402"
    sex: str = "O"
    age: str = "065Y"
    character_set: str = "ISO_IR 192"


def put(dataset: Dataset, values: Mapping[str, Any]) -> None:
    """Set attributes by keyword; None deletes one."""
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)


def decimals(values: Sequence[float] | npt.NDArray[np.float64]) -> list[str]:
    """Return the numbers as decimal strings (VR DS) with 12 digits, at most 16 characters.

    With more digits pydicom writes 17 characters where a number rounds up to a power of ten.
    """
    return [format_number_as_ds(float(f"{value:.12g}")) for value in values]


def study(patient: Patient) -> dict[str, Any]:
    """Return the patient and general study modules."""
    return {
        "SpecificCharacterSet": patient.character_set.split("\\"),
        "PatientName": patient.name,
        "PatientID": patient.patient_id,
        "IssuerOfPatientID": patient.issuer or None,
        "PatientBirthDate": patient.birth_date,
        "PatientSex": patient.sex,
        "PatientAge": patient.age or None,
        "StudyID": "1",
        "StudyDate": "20250501",
        "StudyTime": "101500",
        "SeriesDate": "20250501",
        "SeriesTime": "101500",
        "AcquisitionDate": "20250501",
        "ContentDate": "20250501",
        "ContentTime": "101500",
        "AccessionNumber": "A-1",
        "ReferringPhysicianName": "",
        "StudyDescription": "Phantom study",
    }


def equipment() -> dict[str, Any]:
    """Return the general equipment module."""
    return {
        "Manufacturer": "Orchestrator",
        "ManufacturerModelName": "Phantom",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
    }


def acquisition(modality: str, index: int, slices: int) -> dict[str, Any]:
    """Return the attributes that the modality requires for the image with this index."""
    values: dict[str, Any] = {"Modality": modality, "SeriesNumber": 1, "ImageType": ["ORIGINAL", "PRIMARY"]}
    if modality == "CT":
        return values | {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "BodyPartExamined": "CHEST", "KVP": "120"}
    if modality == "MR":
        sequence = {"ScanningSequence": "GR", "SequenceVariant": "SP", "ScanOptions": "", "MRAcquisitionType": "3D"}
        times = {"EchoTime": "3", "RepetitionTime": "8", "EchoTrainLength": 1}
        return values | sequence | times | {"ImageType": ["ORIGINAL", "PRIMARY", "M"], "BodyPartExamined": "BRAIN"}
    return values | _emission(index, slices)


def _emission(index: int, slices: int) -> dict[str, Any]:
    """Return the attributes of the PET series, isotope and image modules (PS3.3 C.8.9)."""
    isotope = Dataset()
    put(isotope, {"RadiopharmaceuticalStartTime": "091500", "RadionuclideTotalDose": "370000000"})
    isotope.RadionuclideCodeSequence = [code("77004003", "SCT", "^18^Fluorine")]
    return {
        "SeriesType": ["WHOLE BODY", "IMAGE"],
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "NumberOfSlices": slices,
        "PatientOrientationCodeSequence": [code("102538003", "SCT", "recumbent")],
        "PatientGantryRelationshipCodeSequence": [code("102540008", "SCT", "headfirst")],
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN"],
        "CollimatorType": "NONE",
        "RadiopharmaceuticalInformationSequence": [isotope],
        "FrameReferenceTime": "0",
        "ActualFrameDuration": "180000",
        "ImageIndex": index + 1,
        "DecayFactor": "1",
        "BodyPartExamined": "WHOLEBODY",
    }


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence (PS3.3 table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
