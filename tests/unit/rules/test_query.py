"""Rules as archive queries."""

from __future__ import annotations

import pytest

from orchestrator.rules import parse_rules, to_query


def query_of(conditions: str) -> list[dict[str, str]]:
    (rule,) = parse_rules(f'[[rule]]\nname = "r"\nmodel = "m"\n{conditions}').rules
    return to_query(rule)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('Modality = "ct"', [{"Modality": "CT"}]),
        ('Modality = ["CR", "DX"]', [{"Modality": "CR"}, {"Modality": "DX"}]),
        ('Modality = "C*"', [{}]),
        ('Modality = ["CT", "M*"]', [{}]),
        ('Modality = ["CT", { present = false }]', [{}]),
        ("StudyDate = 2024-01-31", [{"StudyDate": "20240131"}]),
        ("StudyDate = { min = 2024-01-01, max = 2024-01-31 }", [{"StudyDate": "20240101-20240131"}]),
        ("StudyDate = { min = 2024-01-01 }", [{"StudyDate": "20240101-"}]),
        ("StudyDate = { max = 2024-01-31 }", [{"StudyDate": "-20240131"}]),
        ("StudyDate = { min = 0024-01-01 }", [{"StudyDate": "00240101-"}]),
        ('SeriesInstanceUID = "1.2.3"', [{"SeriesInstanceUID": "1.2.3"}]),
        ('BodyPartExamined = "CHEST"\nSliceThickness = 3', [{}]),
    ],
)
def test_only_what_archives_match_reliably_is_pushed_down(condition: str, expected: list[dict[str, str]]) -> None:
    assert query_of(f"[rule.when]\n{condition}") == expected


def test_several_keys_are_combined() -> None:
    assert query_of('[rule.when]\nModality = ["CR", "DX"]\nStudyDate = { min = 2024-01-01 }') == [
        {"Modality": "CR", "StudyDate": "20240101-"},
        {"Modality": "DX", "StudyDate": "20240101-"},
    ]


def test_several_when_tables_are_several_queries_without_repetition() -> None:
    clauses = '[[rule.when]]\nModality = "CT"\n[[rule.when]]\nModality = "MR"\n[[rule.when]]\nModality = "CT"\nRows = 1'
    assert query_of(clauses) == [{"Modality": "CT"}, {"Modality": "MR"}]


def test_a_clause_that_cannot_be_asked_makes_the_query_ask_for_everything() -> None:
    assert query_of('[[rule.when]]\nModality = "CT"\n[[rule.when]]\nRows = 1') == [{}]


def test_exclusions_are_not_pushed_down() -> None:
    assert query_of('[rule.when]\nRows = 1\n[rule.unless]\nModality = "CT"') == [{}]
