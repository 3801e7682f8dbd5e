"""Rules asked together: clauses, exclusions, hold, order and objects that no rule may match."""

from __future__ import annotations

import hashlib

import pytest

from orchestrator.domain.errors import RulesError
from orchestrator.domain.job import Priority
from orchestrator.rules import Match, default_rules, parse_rules

CHEST = """
[[rule]]
name     = "lung nodules on thin chest CT"
model    = "lung-nodule"
priority = "urgent"

[rule.when]
Modality         = "CT"
BodyPartExamined = ["CHEST", "*THORAX*", "LUNG"]
SliceThickness   = { max = 3 }
InstanceCount    = { min = 20 }

[rule.unless]
ImageType         = ["LOCALIZER", "DERIVED"]
SeriesDescription = "*MIP*"
"""
THIN_CHEST = {
    "Modality": ("CT",),
    "BodyPartExamined": ("CHEST",),
    "SliceThickness": (1.0,),
    "InstanceCount": (300,),
    "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
    "SeriesDescription": ("Lung 1.0",),
}
HOLD = '[[rule]]\nname = "phantoms"\nhold = true\n[rule.when]\nPatientID = "QA*"\n'


def test_a_series_that_satisfies_all_conditions_matches() -> None:
    assert parse_rules(CHEST).match(THIN_CHEST) == (
        Match("lung nodules on thin chest CT", ("lung-nodule",), Priority.URGENT, hold=False),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"Modality": ("MR",)},
        {"BodyPartExamined": ("ABDOMEN",)},
        {"SliceThickness": (5.0,)},
        {"SliceThickness": ()},
        {"InstanceCount": (3,)},
        {"ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"SeriesDescription": ("coronal mip",)},
    ],
)
def test_one_failed_condition_or_one_exclusion_is_enough(change: dict[str, tuple[str | float, ...]]) -> None:
    assert not parse_rules(CHEST).match({**THIN_CHEST, **change})


def test_one_of_several_when_tables_is_enough() -> None:
    text = '[[rule]]\nname = "r"\nmodel = "m"\n[[rule.when]]\nModality = "CT"\n[[rule.when]]\nModality = "MR"\nRows = 1'
    rules = parse_rules(text)
    assert rules.match({"Modality": ("CT",)})
    assert rules.match({"Modality": ("MR",), "Rows": (1,)})
    assert not rules.match({"Modality": ("MR",)})


def test_each_of_several_unless_tables_excludes() -> None:
    exclusions = "[[rule.unless]]\nColumns = 2\n[[rule.unless]]\nColumns = 3"
    rules = parse_rules(f'[[rule]]\nname = "r"\nmodel = "m"\n[rule.when]\nRows = 1\n{exclusions}')
    assert rules.match({"Rows": (1,), "Columns": (1,)})
    assert not rules.match({"Rows": (1,), "Columns": (2,)})
    assert not rules.match({"Rows": (1,), "Columns": (3,)})


def test_the_most_urgent_match_comes_first() -> None:
    rule = '[[rule]]\nname = "{0}"\nmodel = "m"\npriority = "{0}"\n[rule.when]\nRows = 1\n'
    rules = parse_rules("".join(rule.format(priority) for priority in ("backfill", "routine", "stat", "urgent")))
    assert [match.rule for match in rules.match({"Rows": (1,)})] == ["stat", "urgent", "routine", "backfill"]


def test_a_hold_rule_holds_the_models_of_every_other_rule() -> None:
    matches = parse_rules(CHEST + HOLD).match({**THIN_CHEST, "PatientID": ("QA-7",)})
    assert {match.rule for match in matches} == {"lung nodules on thin chest CT", "phantoms"}
    assert all(match.hold and match.held_by == "phantoms" for match in matches)


def test_a_hold_rule_that_does_not_match_holds_nothing() -> None:
    assert [match.hold for match in parse_rules(CHEST + HOLD).match(THIN_CHEST)] == [False]


@pytest.mark.parametrize(
    "facts",
    [
        {"MachineWritten": ("yes",)},
        *({"Modality": (modality,)} for modality in ("SEG", "SR", "KO", "PR", "RTSTRUCT", "ANN", "sr")),
        {"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.66.4",)},
        {"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.33")},
        {"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.11.1",)},
    ],
)
def test_what_a_machine_wrote_and_what_is_no_image_matches_no_rule(facts: dict[str, tuple[str, ...]]) -> None:
    rules = parse_rules('[[rule]]\nname = "all"\nmodel = "m"\n[rule.when]\nInstanceCount = { min = 1 }')
    facts = {"InstanceCount": (1,), **facts}
    explanation = rules.explain(facts)
    assert not rules.match(facts)
    assert not explanation.matched
    assert explanation.exclusion
    assert explanation.text() == explanation.exclusion


def test_rules_carry_their_text_and_its_digest() -> None:
    rules = parse_rules(CHEST)
    assert rules.text == CHEST
    assert rules.digest == hashlib.sha256(CHEST.encode()).hexdigest()


def test_a_rule_is_found_by_name_with_a_hint_at_the_nearest() -> None:
    rules = default_rules()
    assert rules.rule("T1-weighted head MR").models == ("brain-mask",)
    with pytest.raises(RulesError, match="Did you mean 'T1-weighted head MR'"):
        rules.rule("T1 weighted head")
