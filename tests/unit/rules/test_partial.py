"""What an archive answers of a series decides only what it can decide."""

from __future__ import annotations

import pytest

from orchestrator.domain.series import Headers
from orchestrator.rules import judge, judge_kept, kept_facts, parse_rules

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
    assert judge(RULES.rules[0], facts, known.__contains__) is verdict


def test_a_keyword_that_is_known_to_be_absent_decides() -> None:
    facts: Headers = {"Modality": ("CT",), "BodyPartExamined": ("CHEST",)}
    assert judge(RULES.rules[0], facts, lambda _: True) is False


def test_kept_facts_name_nobody_and_say_what_they_do_not_keep() -> None:
    facts: Headers = {
        "PatientName": ("Doe^Jane",),
        "InstanceNumber": tuple(range(300)),
        "SliceThickness": (float("nan"),),
        "SeriesDescription": ("a\0b",),
        "Modality": ("CT",),
    }
    assert kept_facts(facts) == dict.fromkeys(facts) | {"Modality": ("CT",)}


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
    assert judge_kept(rule, kept_facts({"PatientName": ("Doe^Jane",), "Modality": ("CT",)})) is verdict
