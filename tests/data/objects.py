"""Single small DICOM instances for what moves and keeps them: pixels are arbitrary bytes, headers are real."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid


def instance(
    *,
    study: str = "",
    series: str = "",
    sop_uid: str = "",
    sop_class: str = CTImageStorage,
    transfer_syntax: str = ExplicitVRLittleEndian,
    patient_id: str = "P1",
    patient_name: str = "Doe^Jane",
    character_set: str = "ISO_IR 100",
    accession: str = "A1",
    pixels: bytes = bytes(128),
) -> Dataset:
    """Return an instance of 8 x 8 pixels of 16 bits; UIDs that are not given are new."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.SpecificCharacterSet = character_set.split("\\")
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_uid or generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study or generate_uid(), series or generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.AccessionNumber = patient_id, patient_name, accession
    dataset.PatientBirthDate, dataset.PatientSex, dataset.StudyID = "19700101", "F", "1"
    dataset.StudyDate, dataset.StudyTime, dataset.Modality = "20260101", "120000", "CT"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = encapsulate([pixels]) if UID(transfer_syntax).is_encapsulated else pixels
    dataset["PixelData"].VR = "OB" if UID(transfer_syntax).is_encapsulated else "OW"
    return dataset


def write_instance(path: Path, **parameters: str | bytes) -> Path:
    """Write an instance and return its path; parameters are those of ``instance``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    instance(**parameters).save_as(path, enforce_file_format=True)  # type: ignore[arg-type]
    return path


def write_instances(folder: Path, count: int, **parameters: str | bytes) -> list[Path]:
    """Write instances of one series and return their paths."""
    uids: dict[str, str | bytes] = {"study": generate_uid(), "series": generate_uid()}
    return [write_instance(folder / f"{index:04}.dcm", **(uids | parameters)) for index in range(count)]
