"""The dictionary's SNOMED codes are those of DICOM, with the meaning that DICOM gives them."""

from __future__ import annotations

import pydicom.sr._concepts_dict as dicom_concepts
import pytest

from orchestrator.domain import concepts
from orchestrator.domain.checks import LATERALITIES
from orchestrator.domain.code import Code

_MEANINGS: dict[str, set[str]] = {}
for _keyword, _codes in dicom_concepts.concepts["SCT"].items():
    for _value, (_meaning, _) in _codes.items():
        _MEANINGS.setdefault(_value, set()).add(_meaning.lower())

BEYOND_DICOM = {
    "95436008": "Lung consolidation",
    "72704001": "Fracture",
    "55641003": "Infarct",
    "427359005": "Solitary nodule of lung",
    "233604007": "Pneumonia",
}
"""SNOMED CT concepts that no context group of PS3.16 lists; looked up one by one."""

SNOMED = sorted(
    {*concepts.codes.values(), *LATERALITIES} - {c for c in concepts.codes.values() if c.scheme != "SCT"}, key=str
)


@pytest.mark.parametrize("code", SNOMED, ids=str)
def test_a_snomed_code_means_what_dicom_says(code: Code) -> None:
    known = _MEANINGS.get(code.value, set()) | {BEYOND_DICOM.get(code.value, "").lower()}
    assert any(code.meaning.lower() == meaning or f"{code.meaning.lower()} (" in meaning for meaning in known)


@pytest.mark.parametrize("code", [code for code in concepts.codes.values() if code.scheme == "DCM"], ids=str)
def test_a_code_of_dicom_itself_means_what_dicom_says(code: Code) -> None:
    (known,) = {
        name
        for names in dicom_concepts.concepts["DCM"].values()
        for value, (name, _) in names.items()
        if value == code.value
    }
    assert code.meaning == known


@pytest.mark.parametrize("value", BEYOND_DICOM)
def test_the_list_of_codes_beyond_dicom_holds_no_more_than_it_must(value: str) -> None:
    assert value not in _MEANINGS
