"""What goes wrong with DICOM files: series with one fault each, and files that are no DICOM."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import Dataset, config, dcmread
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage

from orchestrator.testing import Patient
from orchestrator.testing.headers import put
from tests.data.series import ct_series

SIZE: dict[str, Any] = {"slices": 6, "rows": 32, "columns": 32}
PIXELS = b"\xe0\x7f\x10\x00OW\0\0"
"""Tag and VR of Pixel Data in Explicit VR Little Endian; its length follows."""
BROKEN = encapsulate([bytes([9]) + bytes(63)])
"""Compressed pixels whose header announces nine RLE segments and holds none."""


def ct(folder: Path, **parameters: Any) -> list[Path]:
    """Write six small CT slices, a series and study of their own by the folder's name."""
    return ct_series(folder, **SIZE | {"seed": folder.name} | parameters)


def change(paths: list[Path], edit: Callable[[Dataset], object]) -> None:
    """Edit each file's dataset in place."""
    for path in paths:
        dataset = dcmread(path)
        edit(dataset)
        dataset.save_as(path)


def odd_headers(folder: Path, **parameters: Any) -> list[Path]:
    """Write a CT as some scanners and converters do: values that break their VR, and a Number of Frames of 1."""
    paths = ct_series(folder, **parameters)
    odd = {"StudyDate": "2026-01-02", "StudyTime": "10:00:00.25", "PatientBirthDate": "1970.01.01", "PatientAge": "56"}
    odd |= {"PatientSex": "female", "BodyPartExamined": "Pelvis+Abdomen/Thorax", "NumberOfFrames": 1}

    def edit(dataset: Dataset) -> None:
        with config.disable_value_validation():
            dataset.update(odd)
            dataset.StudyDescription = "a description that is longer than the sixty-four characters that are allowed"
            dataset.PatientName = "Control\x00led^Na\x07me"

    with config.disable_value_validation():
        change(paths, edit)
    return paths


def of_class(paths: list[Path], sop_class: str) -> list[Path]:
    """Give the images another SOP class, as private or retired ones."""

    def edit(dataset: Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class

    change(paths, edit)
    return paths


def cut_in_pixels(folder: Path) -> None:
    """One slice lacks its last 500 bytes, as a broken copy leaves it."""
    path = ct(folder)[2]
    path.write_bytes(path.read_bytes()[:-500])


def cut_before_pixels(folder: Path) -> None:
    """The first slice ends where its pixels would begin."""
    path = ct(folder)[0]
    content = path.read_bytes()
    path.write_bytes(content[: content.index(PIXELS)])


def cut_in_header(folder: Path) -> None:
    """One slice ends within Issuer of Patient ID."""
    path = ct(folder)[2]
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"ORCHESTRATOR") + 3])


def with_a_nested_header(folder: Path) -> None:
    """The last slice has a sequence within a sequence, 5,000 deep."""
    nest(ct(folder)[-1])


def with_nested_headers(folder: Path) -> None:
    """Every slice has a sequence within a sequence, 5,000 deep."""
    for path in ct(folder):
        nest(path)


def nest(path: Path) -> None:
    """Write a Request Attributes Sequence that holds itself 5,000 times before the pixels."""
    content, undefined = path.read_bytes(), b"\xff\xff\xff\xff"
    begin = b"\x40\x00\x75\x02SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    at = content.index(PIXELS)
    path.write_bytes(content[:at] + 5000 * begin + 5000 * end + content[at:])


def with_broken_pixels(*places: int) -> Callable[[Path], None]:
    """Return a builder of compressed slices of which those at these places hold no valid code stream."""

    def build(folder: Path) -> None:
        paths = ct(folder, transfer_syntax=RLELossless)
        change([paths[place] for place in places], lambda dataset: setattr(dataset, "PixelData", BROKEN))

    return build


def of_one_uid(folder: Path) -> list[Path]:
    """Write slices to which a writer gave one SOP Instance UID, and return their paths."""
    paths = ct(folder)
    change(paths, lambda dataset: set_uid(dataset, "1.2.3"))
    return paths


def of_shared_uids(folder: Path) -> None:
    """Neighbouring slices share a SOP Instance UID in pairs."""
    for number, path in enumerate(ct(folder)):
        change([path], partial(set_uid, uid=f"1.2.3.{number // 2}"))


def set_uid(dataset: Dataset, uid: str) -> None:
    """Set the SOP Instance UID of a dataset and of its file."""
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid


def without_meta_header(folder: Path) -> None:
    """Neither preamble nor group 0002: what old archives export."""
    for path in ct(folder):
        content = path.read_bytes()
        path.write_bytes(content[144 + struct.unpack_from("<L", content, 140)[0] :])


def claiming_four_gib_of_pixels(folder: Path) -> None:
    """The first slice says that its pixels take 4 GiB."""
    path = ct(folder)[0]
    content = path.read_bytes()
    at = content.index(PIXELS) + len(PIXELS)
    path.write_bytes(content[:at] + struct.pack("<L", 0xFFFFFFF0) + content[at + 4 :])


def claiming_four_gib_of_header(folder: Path) -> None:
    """One slice says that its Modality takes 4 GiB."""
    path = ct(folder)[3]
    content = path.read_bytes()
    at = content.index(b"\x08\x00\x60\x00CS")
    path.write_bytes(content[: at + 4] + b"OB\0\0" + struct.pack("<L", 0xFFFFFFF0) + content[at + 8 :])


def in_an_unknown_transfer_syntax(folder: Path) -> None:
    """Encoded as nobody defined."""
    for path in ct(folder):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"))


def with_wrong_vrs(folder: Path) -> None:
    """A thickness that is a word, numbers of the wrong kind."""

    def edit(dataset: Dataset, index: int) -> None:
        dataset.add_new("SliceThickness", "LO", "thick")
        dataset.add_new("InstanceNumber", "SH", "four")
        dataset.add_new("KVP", "FD", 1.5)
        dataset.add_new("SpacingBetweenSlices", "DS", None)

    ct(folder, edit=edit)


def without_type_2_attributes(folder: Path) -> None:
    """Only what an image cannot do without, and the patient."""
    type_2 = (
        *("AccessionNumber", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
        *("ReferringPhysicianName", "SliceThickness", "Manufacturer", "PositionReferenceIndicator"),
        *("SpecificCharacterSet", "IssuerOfPatientID", "PatientPosition", "SeriesNumber"),
    )

    def edit(dataset: Dataset, index: int) -> None:
        for keyword in type_2:
            if keyword in dataset:
                delattr(dataset, keyword)

    ct(folder, edit=edit)


def with_a_copy(folder: Path) -> None:
    """One slice lies there twice."""
    (folder / "copy.dcm").write_bytes(ct(folder)[0].read_bytes())


def with_a_localizer(folder: Path) -> None:
    """A coronal localizer comes before the slices, in their series."""
    path = ct(folder)[0]
    scout = {
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
        "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
        "InstanceNumber": 0,
        "AcquisitionNumber": 0,
    }
    add_stray(path, scout)


def with_a_dose_page(folder: Path) -> None:
    """A Secondary Capture of another size comes after the slices."""
    page = {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "ImageType": ["DERIVED", "SECONDARY"],
        "InstanceNumber": 999,
        "Rows": 16,
        "PixelData": bytes(16 * 32 * 2),
        **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID")),
    }
    add_stray(ct(folder)[0], page)


def with_another_class(sop_class: str, modality: str) -> Callable[[Path], None]:
    """Return a builder of slices with one object that is no image: outlines, a report, a selection, a state."""

    def build(folder: Path) -> None:
        add_stray(ct(folder)[0], {"SOPClassUID": sop_class, "Modality": modality, "PixelData": None})

    return build


def with_an_image_of_another_ai(folder: Path) -> None:
    """A program adds a denoised slice to the series of the scanner."""
    paths = ct(folder)
    add_stray(paths[0], {"InstanceNumber": 7, "ContributingEquipmentSequence": [processing_equipment()]})


def add_stray(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write a changed copy of an image beside it, under a SOP Instance UID of its own; None deletes an attribute."""
    stray = dcmread(path)
    set_uid(stray, f"{stray.SOPInstanceUID[:60]}.99")
    put(stray, attributes)
    stray.file_meta.MediaStorageSOPClassUID = stray.SOPClassUID
    stray.save_as(path.with_name("stray.dcm"))


def of_two_acquisitions(folder: Path) -> None:
    """Two acquisitions of one stack share the slice at their seam, each with its own noise."""

    def edit(dataset: Dataset, index: int) -> None:
        dataset.AcquisitionNumber = 1 if index < 4 else 2

    *_, seam = ct(folder, duplicate=(4,), slices=12, edit=edit)
    change([seam], lambda dataset: dataset.update({"AcquisitionNumber": 1, "PixelData": bytes(32 * 32 * 2)}))


def with_a_second_image_at_one_place(folder: Path) -> None:
    """Two images lie at one place, and nothing but their pixels tells them apart."""
    *_, other = ct(folder, duplicate=(2,))
    change([other], lambda dataset: dataset.update({"PixelData": bytes(32 * 32 * 2)}))


def of_two_patients(folder: Path) -> None:
    """Half of one series is another person's."""
    change(ct(folder)[3:], lambda dataset: dataset.update({"PatientID": "OTHER", "PatientName": "Other^One"}))


def of_two_studies(folder: Path) -> None:
    """Half of one series names another study."""
    change(ct(folder)[3:], lambda dataset: dataset.update({"StudyInstanceUID": "1.2.3.4"}))


def without_pixels(folder: Path) -> None:
    """Headers alone."""
    ct(folder, edit=lambda dataset, index: dataset.__delitem__("PixelData"))


def of_nobody(folder: Path) -> None:
    """Neither name nor ID."""
    ct(folder, patient=Patient(patient_id="", name=""))


def of_another_ai(folder: Path) -> None:
    """Images that a program made, as it says itself (109102, DCM)."""
    change(ct(folder), lambda dataset: dataset.update({"ContributingEquipmentSequence": [processing_equipment()]}))


def processing_equipment() -> Dataset:
    """Return the item by which an object says that a program made it."""
    equipment, purpose = Dataset(), Dataset()
    code = codes.DCM.ProcessingEquipment
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = code.value, "DCM", code.meaning
    equipment.Manufacturer, equipment.PurposeOfReferenceCodeSequence = "Another AI", [purpose]
    return equipment


def of_another_class(sop_class: str, modality: str) -> Callable[[Path], None]:
    """Return a builder of an object that is no image: a report, a segmentation, a selection, a state."""

    def build(folder: Path) -> None:
        def edit(dataset: Dataset) -> None:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
            dataset.Modality = modality
            del dataset.PixelData

        change(ct(folder, slices=1), edit)

    return build


def with_a_file(name: str, content: bytes) -> Callable[[Path], None]:
    """Return a builder of a folder that holds this file alone."""

    def build(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)

    return build
