"""Patient and study are the source's, whatever character set they were written in."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from orchestrator.dicom.objects.identity import patient_and_study, study_identity

NAMES = {
    "ISO_IR 100": "Äneas^Rüdiger",
    "ISO_IR 192": "Wang^XiaoDong=王^小東",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 144": "Люкceмбypг",
    "GB18030": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
}
character_sets = pytest.mark.parametrize("character_set", NAMES)


def stored(dataset: Dataset) -> Dataset:
    """Return a dataset as it comes out of a file."""
    buffer = BytesIO()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2", "1.3"
    dataset.save_as(buffer, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def header(character_set: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = character_set.split("\\")
    dataset.PatientName = NAMES[character_set]
    dataset.PatientID, dataset.StudyInstanceUID = "P1", "1.2.3"
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator = "1", "99X"
    procedure.CodeMeaning = NAMES[character_set].split("=")[-1].replace("^", " ")
    dataset.ProcedureCodeSequence = [procedure]
    return dataset


@character_sets
def test_names_and_texts_survive_the_way_into_utf_8(character_set: str) -> None:
    written = stored(patient_and_study(stored(header(character_set))))
    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert str(written.PatientName) == NAMES[character_set]
    assert written.ProcedureCodeSequence[0].CodeMeaning == NAMES[character_set].split("=")[-1].replace("^", " ")


@character_sets
def test_the_identity_is_that_of_the_source(character_set: str) -> None:
    source = stored(header(character_set))
    assert study_identity(stored(patient_and_study(source))) == study_identity(source)


def test_type_2_attributes_that_the_source_lacks_are_there_and_empty() -> None:
    dataset = Dataset()
    dataset.StudyInstanceUID = "1.2.3"
    modules = patient_and_study(stored(dataset))
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyID",
        "StudyTime",
        "AccessionNumber",
    ):
        assert keyword in modules
        assert not modules.get(keyword)


def test_odd_values_are_copied_as_they_are() -> None:
    dataset = Dataset()
    odd = {"PatientBirthDate": "1960-01-02", "PatientSex": "UNKNOWN", "AccessionNumber": "A" * 20, "StudyTime": "25:61"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.StudyInstanceUID = "1.2.3"
        for keyword, value in odd.items():
            setattr(dataset, keyword, value)
        modules = stored(patient_and_study(stored(dataset)))
        assert {keyword: str(modules[keyword].value) for keyword in odd} == odd


def test_another_identity_takes_the_place_of_the_sources() -> None:
    source = stored(header("ISO_IR 192"))
    source.IssuerOfPatientID = "WARD"
    held = replace(
        study_identity(source), patient_id="P2", patient_name="Lee^Ann", issuer_of_patient_id="", birth_date="19700101"
    )
    modules = patient_and_study(source, held)
    assert study_identity(modules) == held
    assert "IssuerOfPatientID" not in modules


@pytest.mark.parametrize(("patient_id", "birth_date"), [("P1", "19600402"), ("P2", "")])
def test_what_the_archive_leaves_out_stays_for_the_same_patient_only(patient_id: str, birth_date: str) -> None:
    source = header("ISO_IR 192")
    source.PatientBirthDate = "19600402"
    held = replace(study_identity(source), patient_id=patient_id, birth_date="")
    assert patient_and_study(stored(source), held).PatientBirthDate == birth_date
