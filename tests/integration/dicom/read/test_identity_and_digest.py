"""Text in any character set, and a digest that is equal for a resend and different for a correction."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from orchestrator.dicom import gather, is_image, machine_written, read_instance
from tests.data.series import Patient, cr_image, ct_series, enhanced_mr

NAMES = [
    ("ISO 2022 IR 6\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 144", "Люкceмбypг"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 192", "Ψαράς^Ωμέγα"),
]


def one(folder: Path, **parameters):
    return read_instance(ct_series(folder, slices=1, rows=8, columns=8, **parameters)[0])


def changed(folder: Path, **attributes):
    path = folder / "IM0001.dcm"
    dataset = dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return read_instance(path)


@pytest.mark.parametrize(("character_set", "name"), NAMES, ids=[name for name, _ in NAMES])
def test_names_are_decoded_by_their_character_set(character_set, name, tmp_path):
    instance = one(tmp_path, patient=Patient(name=name, character_set=character_set))
    assert instance.headers["PatientName"] == (name,)


def test_an_unknown_character_set_stops_nothing(tmp_path):
    one(tmp_path)
    path = tmp_path / "IM0001.dcm"
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"MY_CHARSET"))
    assert read_instance(path).headers["PatientName"] == ("Phantom^Synthetic",)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_resend_in_another_uncompressed_syntax_has_the_same_digest(syntax, tmp_path):
    assert one(tmp_path / "a").digest == one(tmp_path / "b", transfer_syntax=syntax).digest


def test_a_resend_with_another_character_set_has_the_same_digest(tmp_path):
    latin = one(tmp_path / "a", patient=Patient(name="Müller^J", character_set="ISO_IR 100"))
    assert latin.digest == one(tmp_path / "b", patient=Patient(name="Müller^J")).digest


def test_fragments_and_their_table_do_not_change_the_digest(tmp_path):
    whole = one(tmp_path / "a", transfer_syntax=JPEG2000Lossless, bits=(16, 12), signed=False)
    path = tmp_path / "a" / "IM0001.dcm"
    dataset = dcmread(path)
    table = b"\xfe\xff\x00\xe0\x04\x00\x00\x00\x00\x00\x00\x00"
    assert dataset.PixelData.startswith(table) or dataset.PixelData[4:8] == bytes(4)
    dataset.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" + dataset.PixelData[len(table) :]
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    assert read_instance(path).digest == whole.digest


def test_attributes_that_say_nothing_about_the_image_do_not_change_the_digest(tmp_path):
    before = one(tmp_path)
    assert changed(tmp_path, InstitutionName="Elsewhere", SeriesDescription="renamed").digest == before.digest


@pytest.mark.parametrize(
    "correction",
    [
        {"PatientID": "ANOTHER"},
        {"PatientName": "Other^Person"},
        {"AccessionNumber": "A-2"},
        {"Laterality": "R"},
        {"ImagePositionPatient": [0, 0, 1]},
        {"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]},
        {"PixelSpacing": [0.7, 0.8]},
        {"RescaleIntercept": -1000},
        {"PixelData": bytes(128)},
    ],
    ids=lambda correction: next(iter(correction)),
)
def test_a_correction_changes_the_digest(correction, tmp_path):
    before = one(tmp_path)
    assert changed(tmp_path, **correction).digest != before.digest


def test_a_moved_frame_of_an_enhanced_image_changes_the_digest(tmp_path):
    def move(dataset):
        place = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
        place.ImagePositionPatient = [1, 2, 3]

    plain = read_instance(enhanced_mr(tmp_path / "a", slices=4))
    assert read_instance(enhanced_mr(tmp_path / "b", slices=4, edit=move)).digest != plain.digest


def test_garbage_in_a_number_stays_text(tmp_path):
    one(tmp_path)
    path = tmp_path / "IM0001.dcm"
    content = path.read_bytes()
    at = content.index(b"\x18\x00\x60\x00DS") + 8  # KVP
    path.write_bytes(content[:at] + b"n/a " + content[at + 4 :])
    assert read_instance(path).headers["KVP"] == ("n/a",)


def test_a_padding_value_in_implicit_vr_is_a_number(tmp_path):
    instance = one(tmp_path, padding=-2000, transfer_syntax=ImplicitVRLittleEndian)
    assert instance.headers["PixelPaddingValue"] == (63536,)


def test_contrast_of_an_enhanced_image_counts(tmp_path):
    def contrast(dataset):
        code = type(dataset)()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-B0322", "SRT", "Iohexol"
        dataset.ContrastBolusAgentSequence = [code]

    assert read_instance(enhanced_mr(tmp_path, slices=2, edit=contrast)).headers["ContrastBolusAgent"] == ("Iohexol",)


def test_an_enhanced_image_tells_its_geometry_and_its_frames_attributes(tmp_path):
    facts = gather([read_instance(enhanced_mr(tmp_path, slices=6, orientation="sagittal", time_points=2))]).facts
    assert (facts["Orientation"], facts["SliceSpacing"], facts["TimePoints"]) == (("sagittal",), (3.0,), (2,))
    assert (facts["InstanceCount"], facts["FrameCount"]) == ((1,), (12,))
    assert facts["SliceThickness"] == (3.0,)


def test_an_object_whose_contributing_equipment_is_a_program_is_machine_written(tmp_path):
    def processed(dataset, _):
        equipment, purpose = type(dataset)(), type(dataset)()
        purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109102", "DCM", "Processing Equipment"
        equipment.PurposeOfReferenceCodeSequence, equipment.Manufacturer = [purpose], "AI Inc"
        dataset.ContributingEquipmentSequence = [equipment]

    instance = one(tmp_path, edit=processed)
    assert machine_written(instance)
    assert is_image(instance)
    assert gather([instance]).facts["MachineWritten"] == ("yes",)


def test_no_pixels_and_no_sequences_are_among_the_headers(tmp_path):
    headers = read_instance(cr_image(tmp_path)).headers
    assert "PixelData" not in headers
    assert all(isinstance(value, str | int | float) for values in headers.values() for value in values)


def test_transfer_syntax_is_a_fact(tmp_path):
    assert one(tmp_path).headers["TransferSyntaxUID"] == (ExplicitVRLittleEndian,)
