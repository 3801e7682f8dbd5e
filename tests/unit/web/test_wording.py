"""Records are said in words that a radiologist reads without thinking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.job import Priority, Purpose
from orchestrator.domain.records import DeliveryRecord, DeliveryState, Note
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import RejectReason
from orchestrator.web import wording

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=-5), "under 1 min"),
        (timedelta(seconds=59), "under 1 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(minutes=95), "1 h 35 min"),
        (timedelta(hours=24), "1 d"),
        (timedelta(days=2, hours=3), "2 d 3 h"),
        (timedelta(days=7, hours=3), "7 d"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_ages(ago, said):
    assert wording.age(NOON - ago, NOON) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((1502.3, "1,502"), (812.4, "812"), (1234567, "1,234,567"), (45, "45"), (0, "0")),
        *((6.4, "6.4"), (8.25, "8.25"), (0.0412, "0.0412"), (-3.14159, "-3.14")),
        *(("n/a", "n/a"), (True, "True")),
    ],
)
def test_numbers(value, said):
    assert wording.number(value) == said


@given(st.floats(min_value=-1e9, max_value=1e9))
def test_a_number_is_never_off_by_more_than_half_a_percent(value):
    shown = float(wording.number(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "Volume", "segment": "Brain", "value": 1502.3, "unit": "ml"}, "Brain 1,502 ml"),
        ({"name": "Volume", "value": 812.4, "unit": "ml"}, "Volume 812 ml"),
        ({"name": "Diameter", "segment": "Nodule 1", "value": 8.25, "unit": "mm"}, "Nodule 1 diameter 8.25 mm"),
        ({"name": "Attenuation", "value": 45, "unit": "[hnsf'U]"}, "Attenuation 45 HU"),
        ({"name": "Ratio", "value": 0.5, "unit": "1"}, "Ratio 0.5"),
    ],
)
def test_measurements(entry, said):
    assert wording.measurement(entry) == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "Burned-in text", "value": "present", "score": 0.93}, "Burned-in text: present, score 0.93"),
        ({"name": "Fracture", "presence": "absent"}, "Fracture: absent"),
        ({"name": "Nodule", "value": "present", "laterality": "Right", "site": "Lung"}, "Nodule, right lung: present"),
        ({"name": "Mass", "value": "present", "site": "Mass"}, "Mass: present"),
        ({"name": "Bleeding", "value": "present", "certainty_percent": 87.5}, "Bleeding: present, certainty 87.5 %"),
        (
            {"name": "Bleeding", "value": "present", "score": 0.5, "images": [{}, {}]},
            "Bleeding: present, score 0.50, 2 images",
        ),
        ({"name": "Bleeding", "value": "present", "probability": 0.875}, "Bleeding: present, certainty 87.5 %"),
    ],
)
def test_findings(entry, said):
    assert wording.finding(entry) == said


def test_a_raw_score_is_never_called_a_certainty():
    assert "certainty" not in wording.finding({"name": "Bleeding", "value": "present", "score": 0.9})


@pytest.mark.parametrize("note", list(Note))
@pytest.mark.parametrize("state", list(DeliveryState))
def test_every_delivery_state_has_words_that_name_the_destination(state, note):
    said = wording.delivery(DeliveryRecord(job_key="k", destination="pacs", note=note, state=state))
    assert "pacs" in said
    assert said.startswith("Rejection note") == bool(note)


def test_a_delivery_that_is_not_released_says_what_it_waits_for():
    assert "may be incomplete" in wording.delivery(DeliveryRecord(job_key="k", destination="pacs"))


def test_every_term_of_the_domain_has_words():
    assert set(wording.REASONS) == set(RejectReason)
    assert set(wording.URGENCY) == {*Urgency, None}
    assert set(wording.PRIORITY) == set(Priority)
    assert set(wording.PURPOSE) == set(Purpose)


@given(st.from_regex(r"[0-9.]{1,64}", fullmatch=True))
def test_a_shortened_uid_keeps_its_end(uid):
    assert uid.endswith(wording.short(uid).removeprefix("…"))
