"""Why no rule could be for a series, as the archive describes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.rules import RuleSet, parse_rules

RULES = parse_rules("""
[[rule]]
name = "head"
model = "m"
[rule.when]
Modality = "CT"
BodyPartExamined = "HEAD"
[rule.unless]
ImageType = "LOCALIZER"

[[rule]]
name = "jane"
model = "m"
[rule.when]
PatientName = "Doe*"
Modality = "MR"
""")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Modality": ("US",)}, "head: Modality is US, expected CT. jane: Modality is US, expected MR"),
        (
            {"Modality": ("CT",), "ImageType": ("LOCALIZER",)},
            "head: ImageType is LOCALIZER, excluded by the rule. jane: Modality is CT, expected MR",
        ),
        ({"Modality": ("SR",)}, "The series holds a structured report, not images. Rules apply to images only."),
    ],
)
def test_it_is_told_what_speaks_against_each_rule(headers: dict[str, tuple[str, ...]], said: str) -> None:
    assert not RULES.may_match(headers)
    assert RULES.explain_mismatch(headers) == said


def test_no_name_of_a_patient_is_told() -> None:
    told = RULES.explain_mismatch({"Modality": ("MR",), "PatientName": ("Roe^Richard",)})
    assert "(hidden)" in told
    assert "Roe" not in told
    assert "Doe" not in told


def test_without_rules_that_is_the_reason() -> None:
    assert RuleSet(()).explain_mismatch({"Modality": ("CT",)}) == "there are no rules"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Modality": st.sampled_from([("CT",), ("MR",), ("SEG",), ("",)]),
            "BodyPartExamined": st.sampled_from([("HEAD",), ("HIP",)]),
            "ImageType": st.sampled_from([("LOCALIZER",), ("AXIAL",)]),
            "PatientName": st.sampled_from([("Doe^Jane",), ("Roe^Richard",)]),
        },
    )
)
def test_what_is_unwanted_has_a_reason(headers: dict[str, tuple[str, ...]]) -> None:
    assert RULES.may_match(headers) or RULES.explain_mismatch(headers)
