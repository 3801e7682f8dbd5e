"""What an archive answers of a series decides only what it can decide."""

from __future__ import annotations

import pytest

from orchestrator.domain.series import Headers
from orchestrator.rules import evaluate, evaluate_from_ledger, parse_rules, select_ledger_facts

RULES = parse_rules("""
[[rule]]
name = "thin chest CT"
model = "nodules"

[rule.when]
Modality = "CT"
BodyPartExamined = "CHEST"
SliceThickness = { max = 2.0 }

[rule.unless]
SeriesDescription = "*scout*"
""")


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"Modality": ("CT",)}, True),
        ({}, True),
        ({"Modality": ("CT",), "BodyPartExamined": ("",)}, True),
        ({"Modality": ("MR",)}, False),
        ({"Modality": ("CT",), "BodyPartExamined": ("HEAD",)}, False),
        ({"SeriesDescription": ("Scout lateral",)}, False),
        ({"Modality": ("SEG",)}, False),
        ({"Modality": ("SR",), "BodyPartExamined": ("CHEST",)}, False),
    ],
)
def test_a_series_is_passed_over_only_where_the_answer_excludes_it(headers: Headers, wanted: bool) -> None:
    assert RULES.may_match(headers) is wanted


@pytest.mark.parametrize(
    ("known", "verdict"), [({"Modality", "BodyPartExamined", "SliceThickness"}, None), ({"Modality"}, None)]
)
def test_what_is_not_known_leaves_it_open(known: set[str], verdict: bool | None) -> None:
    facts: Headers = {"Modality": ("CT",), "BodyPartExamined": ("CHEST",), "SliceThickness": (1.0,)}
    assert evaluate(RULES.rules[0], facts, known.__contains__) is verdict


def test_a_keyword_that_is_known_to_be_absent_decides() -> None:
    facts: Headers = {"Modality": ("CT",), "BodyPartExamined": ("CHEST",)}
    assert evaluate(RULES.rules[0], facts, lambda _: True) is False


def test_kept_facts_name_nobody_and_say_what_they_do_not_keep() -> None:
    facts: Headers = {
        "PatientName": ("Doe^Jane",),
        "InstanceNumber": tuple(range(300)),
        "SliceThickness": (float("nan"),),
        "RepetitionTime": ("Doe",),
        "PatientAge": ("091Y",),
        "Ward": ("the room of Doe",),
        "EthnicGroup": ("any",),
        "PatientSize": (1.8,),
        "DerivationDescription": ("as Dr. Doe wished",),
        "SeriesDescription": ("a\0b",),
    }
    told: Headers = {"Modality": ("CT",), "EchoTime": (3.5,), "PatientSex": ("O",), "Source": ("pacs",)}
    assert select_ledger_facts({**facts, **told}) == dict.fromkeys(facts) | told


@pytest.mark.parametrize(
    ("age", "kept"), [("089Y", True), ("090Y", False), ("003M", True), ("Doe", False), ("", False), ("120Y", False)]
)
def test_an_age_is_kept_that_many_people_have(age: str, kept: bool) -> None:
    assert (select_ledger_facts({"PatientAge": (age,)})["PatientAge"] is not None) is kept


def test_a_series_of_which_nobody_says_that_it_holds_images_is_left_open() -> None:
    (rule,) = parse_rules('[[rule]]\nname = "r"\nmodel = "m"\n[rule.when]\nStudyDate = { min = "20260101" }\n').rules
    assert evaluate(rule, {"StudyDate": ("20260301",)}, {"StudyDate"}.__contains__) is None


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ('Modality = "CT"', True),
        ('Modality = "MR"', False),
        ('BodyPartExamined = "CHEST"', False),
        ('PatientName = "Doe*"', None),
        ("PatientName = { present = false }", None),
    ],
)
def test_kept_facts_decide_what_they_can(condition: str, verdict: bool | None) -> None:
    (rule,) = parse_rules(f'[[rule]]\nname = "r"\nmodel = "m"\n\n[rule.when]\n{condition}\n').rules
    assert (
        evaluate_from_ledger(rule, select_ledger_facts({"PatientName": ("Doe^Jane",), "Modality": ("CT",)})) is verdict
    )
