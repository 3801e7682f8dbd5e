"""The shipped rules route as interface.md says."""

from __future__ import annotations

import pytest

from orchestrator.rules import default_rules

RULES = default_rules()


def models(**facts: str | tuple[str, ...]) -> set[str]:
    """Return the models that would run on a series with these facts."""
    values = {keyword: value if isinstance(value, tuple) else (value,) for keyword, value in facts.items()}
    return {model for match in RULES.match(values) if not match.hold for model in match.models}


@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
@pytest.mark.parametrize(
    "text",
    [
        "t1_mprage_sag_p2_iso",
        "Sag MP-RAGE",
        "AX 3D SPGR",
        "Sag BRAVO +C",
        "3D_TFE",
        "T1W_TSE",
        "AX T1 POST",
        "IR-FSPGR",
    ],
)
def test_mr_that_says_t1_goes_to_the_brain_mask(keyword: str, text: str) -> None:
    assert models(Modality="MR", **{keyword: text}) == {"brain-mask"}


@pytest.mark.parametrize("name", ["*tfl3d1_16ns", "T1TFE", "3D BRAVO"])
def test_the_sequence_name_may_say_it(name: str) -> None:
    assert models(Modality="MR", SequenceName=name) == {"brain-mask"}
    assert models(Modality="MR", PulseSequenceName="T1_3D") == {"brain-mask"}


@pytest.mark.parametrize("part", ["HEAD", "BRAIN", "Head", "HEADNECK", "", "SKULLHEAD"])
def test_a_head_or_an_absent_body_part_is_accepted(part: str) -> None:
    assert models(Modality="MR", SeriesDescription="T1 MPRAGE", BodyPartExamined=part) == {"brain-mask"}


@pytest.mark.parametrize(
    "facts",
    [
        {"SeriesDescription": "ep2d_diff_3scan"},
        {"SeriesDescription": "AX T2 TSE"},
        {"SeriesDescription": "AX T1 FLAIR"},
        {"SeriesDescription": "T2 FLAIR", "ProtocolName": "BRAIN T1"},
        {"SeriesDescription": "AX T2", "ProtocolName": "BRAIN T1 T2"},
        {"SeriesDescription": "localizer T1"},
        {"SeriesDescription": "3-plane loc", "ProtocolName": "T1"},
        {"SeriesDescription": "T1 MPRAGE MIP"},
        {"SeriesDescription": "T1", "ImageType": ("DERIVED", "SECONDARY", "MIP")},
        {"SeriesDescription": "T1", "ImageType": ("DERIVED", "PRIMARY", "PROJECTION IMAGE")},
        {"SeriesDescription": "T1", "ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"SeriesDescription": "T1", "BodyPartExamined": "KNEE"},
        {"SeriesDescription": "T1 sag C-SPINE"},
    ],
)
def test_other_mr_goes_nowhere(facts: dict[str, str | tuple[str, ...]]) -> None:
    assert models(Modality="MR", **facts) == set()


def test_a_block_of_t1_is_no_localizer() -> None:
    assert models(Modality="MR", SeriesDescription="T1 3D block") == {"brain-mask"}


@pytest.mark.parametrize("modality", ["US", "CR", "DX", "XA"])
def test_projections_and_ultrasound_are_searched_for_text(modality: str) -> None:
    assert models(Modality=modality) == {"burned-in-text"}


@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"])
@pytest.mark.parametrize("modality", ["OT", "CT", "MR"])
def test_secondary_capture_is_searched_for_text_whatever_its_modality(uid: str, modality: str) -> None:
    assert models(Modality=modality, SOPClassUID=uid, SeriesDescription="T1") == {"burned-in-text"}


def test_ct_goes_to_the_bone_volume_unless_it_is_a_localizer() -> None:
    assert models(Modality="CT", ImageType=("ORIGINAL", "PRIMARY", "AXIAL")) == {"bone-volume"}
    assert models(Modality="CT", ImageType=("ORIGINAL", "PRIMARY", "LOCALIZER")) == set()


@pytest.mark.parametrize("modality", ["PT", "NM", "MG", "SEG", "SR"])
def test_what_no_shipped_model_is_for_goes_nowhere(modality: str) -> None:
    assert models(Modality=modality) == set()


@pytest.mark.parametrize(
    "facts",
    [{"QualityControlSubject": ("YES",)}, {"QualityControlImage": ("YES",)}, {"QualityControlImage": ("BOTH",)}],
)
def test_phantoms_are_held(facts: dict[str, tuple[str, ...]]) -> None:
    matches = RULES.match({"Modality": ("CT",), **facts})
    assert [match.models for match in matches if match.models] == [("bone-volume",)]
    assert all(match.hold for match in matches)


def test_a_patient_who_is_no_phantom_is_not_held() -> None:
    assert models(Modality="CT", QualityControlSubject="NO", QualityControlImage="NO") == {"bone-volume"}


def test_hold_rules_come_first_in_the_file() -> None:
    holds = [rule.hold for rule in RULES.rules]
    assert holds == sorted(holds, reverse=True)
    assert any(holds)
