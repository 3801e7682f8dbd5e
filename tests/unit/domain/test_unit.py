"""Units are UCUM codes."""

from __future__ import annotations

import pytest

from orchestrator.domain.unit import shown_unit, unit_fault


@pytest.mark.parametrize(
    "text",
    [
        *("mm", "ml", "mm2", "cm3", "g/cm3", "[hnsf'U]", "%", "1", "{score}", "{pixels}", "Bq/ml", "10*6/l"),
        *("mm[Hg]", "cm[H2O]", "cm[H2O]/l", "m[H2O]2", "l/(cm[H2O].s)"),
        *("10*-6.mm2/s", "ms", "Cel", "1/min", "{beats}/min", "m/s2", "deg", "T", "ug/ml"),
        *("ml/(100.g.min)", "/min", "ml/min/(1.73.m2)", "mg/(kg.(8.h))", "ml{a/b(c)}", "g/(8.h){shift}"),
    ],
)
def test_a_ucum_code_is_right(text: str) -> None:
    assert unit_fault(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HU",
        "mm²",
        "pixels",
        "m L",
        "mm 3",
        "ml/",
        "VERIFIED",
        "mm\n",
        "2",
        "ml/(100.g",
        "ml)",
        "2(m)",
        "(m)2",
        "()",
        "ml//g",
        "ml/0",
        "HU/(100.g)",
    ],
)
def test_anything_else_is_named(text: str) -> None:
    assert repr(text) in unit_fault(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("HU", "[hnsf'U]"), ("cc", "ml"), ("pixels", "{pixels}"), ("px", "{pixels}")]
)
def test_a_usual_mistake_is_answered_with_what_was_meant(text: str, meant: str) -> None:
    assert f"did you mean {meant!r}?" in unit_fault(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(
            ("[hnsf'U]", "HU"),
            ("1", ""),
            ("mm2", "mm²"),
            ("cm3", "cm³"),
            ("g/cm3", "g/cm³"),
            ("um", "µm"),
            ("ug/ml", "µg/ml"),
        ),
        *(
            ("cm[H2O]/l", "cmH2O/l"),
            ("ml", "ml"),
            ("%", "%"),
            ("Cel", "°C"),
            ("mm[Hg]", "mmHg"),
            ("{score}", "score"),
            ("1/min", "1/min"),
        ),
        *(("{beats}/min", "beats/min"), ("10*-6.mm2/s", "10⁻⁶·mm²/s"), ("10*6/l", "10⁶/l"), ("[iU]/l", "IU/l")),
        *(("ml/(100.g.min)", "ml/(100·g·min)"), ("l/(s.m2)", "l/(s·m²)"), ("", "")),
    ],
)
def test_people_read_units_as_they_write_them(text: str, shown: str) -> None:
    assert shown_unit(text) == shown
