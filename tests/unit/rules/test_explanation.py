"""Explanations that a PACS administrator reads."""

from __future__ import annotations

import json

import pytest
from pydicom.datadict import tag_for_keyword

from orchestrator.rules import Explanation, identity, parse_rules

TEXT = """
[[rule]]
name = "thin chest CT"
model = "lung"
priority = "urgent"
[[rule.when]]
Modality = "CT"
SliceThickness = { max = 3 }
[[rule.when]]
PatientID = ["12345", "67890"]
[rule.unless]
SeriesDescription = "*MIP*"
ImageType = "LOCALIZER"
"""
FACTS = {
    "Modality": ("CT",),
    "SliceThickness": (5.0,),
    "PatientID": ("67890",),
    "SeriesDescription": ("cor MIP",),
}


def test_the_text_says_for_each_condition_what_was_found_and_why_not() -> None:
    assert parse_rules(TEXT).explain(FACTS).text(hide_identity=False) == "\n".join(
        [
            "No rule matched (1 rule checked).",
            "",
            "✗ thin chest CT -> lung (urgent)",
            "    ✓ Modality is CT",
            "    ✗ SliceThickness is 5, expected at most 3",
            "  or",
            "    ✓ PatientID is 67890",
            "  unless",
            "    ✗ SeriesDescription is cor MIP, excluded by *MIP*",
            "    ✓ ImageType is absent, not excluded",
        ]
    )


def test_a_hold_is_said_in_the_first_line() -> None:
    rules = parse_rules('[[rule]]\nname = "phantoms"\nhold = true\nwhen.Modality = "CT"')
    first, _, rule, *_ = rules.explain({"Modality": ("CT",)}).text().splitlines()
    assert first == "1 of 1 rule matched; the series is on hold until a person decides."
    assert rule == "✓ phantoms -> hold"


@pytest.mark.parametrize("written", [lambda found: found.text(), lambda found: found.to_json()])
def test_nothing_identifying_is_told_unless_asked_for(written) -> None:  # type: ignore[no-untyped-def]
    facts = {**FACTS, "PatientName": ("Doe^Jane",)}
    rules = parse_rules(TEXT.replace("[rule.unless]", '[rule.unless]\nPatientName = "Test*"'))
    told = written(rules.explain(facts))
    assert [secret for secret in ("67890", "12345", "Doe", "Test") if secret in told] == []
    assert "(hidden)" in told
    assert "cor MIP" in told


@pytest.mark.parametrize(
    "keyword",
    ["PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "OtherPatientIDs", "ReferringPhysicianName"],
)
def test_names_and_numbers_of_people_are_identifying(keyword: str) -> None:
    assert identity.is_identifying(keyword)


@pytest.mark.parametrize(
    "keyword", ["Modality", "PatientAge", "PatientSex", "StudyDate", "SeriesDescription", "Source"]
)
def test_what_explains_a_decision_is_shown(keyword: str) -> None:
    assert not identity.is_identifying(keyword)


def test_every_identifying_keyword_is_a_keyword() -> None:
    assert [name for name in identity._IDENTIFYING.split() if tag_for_keyword(name) is None] == []


def test_json_holds_the_tree() -> None:
    tree = json.loads(parse_rules(TEXT).explain(FACTS).to_json())
    (rule,) = tree["rules"]
    assert (tree["matched"], rule["rule"], rule["models"]) == (False, "thin chest CT", ["lung"])
    assert rule["when"][0][1] == {
        "keyword": "SliceThickness",
        "wanted": ["at most 3"],
        "found": [5.0],
        "satisfied": False,
    }


def test_a_header_cannot_write_into_the_terminal() -> None:
    told = parse_rules(TEXT).explain({"SeriesDescription": ("\x1b[2J\nMIP",)}).text()
    assert "\x1b" not in told
    assert "[2J MIP" in told


def test_long_lists_and_texts_are_cut() -> None:
    facts = {"SeriesDescription": tuple(f"{number} {'x' * 200}" for number in range(300))}
    (line,) = [line for line in parse_rules(TEXT).explain(facts).text().splitlines() if "SeriesDesc" in line]
    assert line.endswith("… and 294 more, not excluded")
    assert len(line) < 500


def test_the_rules_that_matched_are_named_in_the_order_of_the_file() -> None:
    rule = '[[rule]]\nname = "{0}"\nmodel = "m"\npriority = "{0}"\nwhen.Rows = 1\n'
    explanation = parse_rules(rule.format("routine") + rule.format("stat")).explain({"Rows": (1,)})
    assert explanation.matches == ("routine", "stat")


@pytest.mark.parametrize("facts", [FACTS, {**FACTS, "SliceThickness": (1.0,)}, {}, {"Modality": ("SEG",)}])
def test_a_stored_explanation_is_read_as_it_was(facts: dict[str, tuple[str | float, ...]]) -> None:
    stored = parse_rules(TEXT).explain(facts).to_json(hide_identity=True)
    read = Explanation.from_json(stored)
    assert read.to_json(hide_identity=True) == stored
    assert read.text() == parse_rules(TEXT).explain(facts).text()
