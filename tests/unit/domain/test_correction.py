"""What may be typed in the place of a model's value, and how the result reads then."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.correction import WrongCorrection, changes, correctables, corrected
from orchestrator.domain.result import Urgency
from orchestrator.domain.urgency import urgency_of

VOLUME = {"name": "Volume", "segment": "Brain", "value": 41.5, "unit": "ml"}
DENSITY = {"name": "Mean density", "value": 12.0, "unit": "[hnsf'U]"}
NODULE = {"name": "Nodule", "value": "present", "score": 0.8, "laterality": "right", "urgency": "urgent"}
FINDINGS, MEASUREMENTS = (NODULE,), (VOLUME, DENSITY)
KNOWN = correctables(FINDINGS, MEASUREMENTS)
VOLUME_AT = "measurements/0/value"


def change(at: str, text: str) -> tuple[dict[str, object], ...]:
    return changes(KNOWN, [(at, text)])


def test_every_value_and_class_may_be_corrected() -> None:
    assert [each.what for each in KNOWN] == [
        "Nodule",
        "Nodule, side",
        "Nodule, urgency",
        "Brain volume",
        "Mean density",
    ]


def test_several_of_one_name_are_numbered() -> None:
    assert [each.what for each in correctables((), (VOLUME, VOLUME))] == ["Brain volume", "Brain volume (2)"]


def test_a_change_says_before_after_and_the_unit_of_the_model() -> None:
    assert change(VOLUME_AT, "40") == (
        {"at": VOLUME_AT, "what": "Brain volume", "before": 41.5, "after": 40.0, "unit": "ml"},
    )


@pytest.mark.parametrize("text", ["", "  ", "41.5"])
def test_nothing_typed_or_the_same_is_no_change(text: str) -> None:
    assert change(VOLUME_AT, text) == ()


@pytest.mark.parametrize("text", ["forty", "nan", "inf", "-1", "1e10", "1,502", "4_0", "40 ml", "0x10"])
def test_what_is_no_plausible_number_is_refused(text: str) -> None:
    with pytest.raises(WrongCorrection, match="Brain volume"):
        change(VOLUME_AT, text)


def test_a_density_may_be_below_zero() -> None:
    assert change("measurements/1/value", "-20")[0]["after"] == -20.0


@pytest.mark.parametrize(("field", "text"), [("value", "maybe"), ("laterality", "up"), ("urgency", "soon")])
def test_a_class_is_one_of_those_there_are(field: str, text: str) -> None:
    with pytest.raises(WrongCorrection, match="can be"):
        change(f"findings/0/{field}", text)


@pytest.mark.parametrize("at", ["measurements/7/value", "findings/0/name", "", "measurements/0/unit"])
def test_what_the_result_does_not_say_cannot_be_corrected(at: str) -> None:
    with pytest.raises(WrongCorrection, match="reload it"):
        change(at, "1")


def test_a_second_correction_keeps_what_it_does_not_touch() -> None:
    again = changes(KNOWN, [("findings/0/value", "absent")], change(VOLUME_AT, "40"))
    assert {each["what"]: each["after"] for each in again} == {"Brain volume": 40.0, "Nodule": "absent"}


def test_the_models_own_value_takes_a_correction_back() -> None:
    assert changes(KNOWN, [(VOLUME_AT, "41.5")], change(VOLUME_AT, "40")) == ()


def test_what_an_archive_says_was_changed_stays_beside_what_is_typed() -> None:
    outline = {"what": "Outline", "before": "as the model drew it", "after": "drawn anew", "unit": ""}
    assert changes(KNOWN, [(VOLUME_AT, "40")], (outline,)) == (outline, *change(VOLUME_AT, "40"))


def test_a_corrected_result_reads_as_the_person_says_and_still_names_what_the_model_said() -> None:
    (volume, density) = corrected("measurements", MEASUREMENTS, change(VOLUME_AT, "40"))
    assert volume == {**VOLUME, "value": 40.0, "ai": {"value": 41.5}}
    assert density == DENSITY


@pytest.mark.parametrize(
    ("field", "text", "urgency"),
    [("urgency", "immediate", Urgency.IMMEDIATE), ("urgency", "none", None), ("value", "absent", None)],
)
def test_the_urgency_of_a_corrected_result_is_the_persons(field: str, text: str, urgency: Urgency | None) -> None:
    assert urgency_of(corrected("findings", FINDINGS, change(f"findings/0/{field}", text))) is urgency


def test_changes_from_an_archive_name_no_place_and_change_nothing() -> None:
    assert corrected("findings", FINDINGS, ({"what": "Nodule", "before": "present", "after": "absent"},)) == FINDINGS


@given(value=st.floats(0, 1e9), typed=st.floats(0, 1e9))
def test_any_plausible_number_is_kept_exactly(value: float, typed: float) -> None:
    known = correctables((), ({**VOLUME, "value": value},))
    made = changes(known, [(VOLUME_AT, repr(typed))])
    assert [each["after"] for each in made] == ([] if typed == value else [typed])


@given(text=st.text(max_size=12))
def test_whatever_is_typed_is_a_finite_number_or_refused(text: str) -> None:
    try:
        made = change(VOLUME_AT, text)
    except WrongCorrection:
        return
    assert all(math.isfinite(float(str(each["after"]))) and float(str(each["after"])) >= 0 for each in made)
