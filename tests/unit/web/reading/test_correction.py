"""A radiologist puts another value in the place of the model's; both stay visible."""

from __future__ import annotations

import html

import pytest

from orchestrator.domain.review import ReviewState
from tests.data.reading_room import ReadingRoom

ADA = {"by": "Ada Okafor", "organization": "St. Anna"}
VOLUME, PRESENCE, URGENCY = "measurements/0/value", "findings/0/value", "findings/0/urgency"


@pytest.fixture(autouse=True)
def result(room: ReadingRoom) -> None:
    nodule = {"name": "Nodule", "value": "present", "score": 0.81, "urgency": "urgent"}
    room.result("brain", findings=(nodule,))


def correct(visitor, room: ReadingRoom, *, seen: str = "pending", verdict: str = "corrected", **typed: str):
    data = {
        **ADA,
        "seen": seen,
        "verdict": verdict,
        "reason": typed.get("reason", ""),
        "at": [PRESENCE, URGENCY, VOLUME],
    }
    data["after"] = [typed.get("presence", ""), typed.get("urgency", ""), typed.get("volume", "")]
    return visitor.post(f"/results/{room.keys['brain']}/verdict", data=data)


def page_of(visitor, room: ReadingRoom) -> str:
    return html.unescape(visitor.get(f"/results/{room.keys['brain']}").text)


def test_a_correction_keeps_before_and_after(visitor, room: ReadingRoom):
    assert correct(visitor, room, volume="1480").status_code == 303
    review = room.ledger.reviews.newest(room.keys["brain"])
    assert (review.state, review.by) == ("corrected", "Ada Okafor")
    assert review.changes == ({"at": VOLUME, "what": "Brain volume", "before": 1502.3, "after": 1480.0, "unit": "ml"},)


def test_the_page_shows_the_readers_value_beside_the_models(visitor, room: ReadingRoom):
    correct(visitor, room, volume="1480", presence="absent")
    text = page_of(visitor, room)
    assert '<td class="value">1,502 ml</td>' in text
    assert '<td class="value reader">1,480 ml</td>' in text
    assert '<td class="reader">Absent</td>' in text
    assert "Brain volume: 1,502 → 1,480 ml" in text


def test_the_worklist_says_the_readers_value_and_the_models(visitor, room: ReadingRoom):
    correct(visitor, room, volume="1480", presence="absent")
    text = visitor.get("/?state=corrected").text
    assert "<li>Brain 1,480 ml (AI: 1,502)</li>" in text
    assert "<li>Nodule: absent (AI: present)</li>" in text


def test_a_finding_that_is_not_there_is_not_urgent(visitor, room: ReadingRoom):
    correct(visitor, room, presence="absent")
    assert "Urgency: not given by the model" in visitor.get("/?state=corrected").text


def test_an_urgency_can_be_raised(visitor, room: ReadingRoom):
    correct(visitor, room, urgency="immediate")
    assert "Immediate: act within minutes" in page_of(visitor, room)


@pytest.mark.parametrize("typed", [{"volume": "much"}, {"volume": "-3"}, {"volume": "1,480"}, {"presence": "maybe"}])
def test_a_value_that_cannot_be_is_refused_and_nothing_kept(visitor, room: ReadingRoom, typed):
    answer = correct(visitor, room, **typed)
    assert answer.status_code == 422
    assert "Nothing was saved" in answer.text
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "pending"


@pytest.mark.parametrize("typed", [{}, {"volume": "1502.3"}, {"presence": "present", "urgency": "urgent"}])
def test_a_correction_that_changes_nothing_is_refused(visitor, room: ReadingRoom, typed):
    answer = correct(visitor, room, **typed)
    assert (answer.status_code, "accept the result" in answer.text) == (422, True)


@pytest.mark.parametrize("verdict", ["accepted", "rejected"])
def test_values_typed_beside_another_verdict_are_not_lost_silently(visitor, room: ReadingRoom, verdict):
    answer = correct(visitor, room, verdict=verdict, volume="1480", reason="wrong")
    assert (answer.status_code, "New values were entered" in answer.text) == (422, True)


def test_a_second_correction_keeps_the_first_where_it_says_nothing(visitor, room: ReadingRoom):
    correct(visitor, room, volume="1480")
    assert correct(visitor, room, seen="corrected", presence="absent").status_code == 303
    assert {each["what"] for each in room.ledger.reviews.newest(room.keys["brain"]).changes} == {
        "Brain volume",
        "Nodule",
    }


def test_who_corrects_an_earlier_correction_than_the_newest_is_told(visitor, room: ReadingRoom):
    stale = {"seen_at": "2026-01-01T00:00:00+00:00", "seen": "corrected", "verdict": "corrected", **ADA}
    correct(visitor, room, volume="1480")
    answer = visitor.post(f"/results/{room.keys['brain']}/verdict", data={**stale, "at": [VOLUME], "after": ["1490"]})
    assert (answer.status_code, "Verdict not saved" in answer.text) == (409, True)


def test_the_model_may_turn_out_to_be_right_after_all(visitor, room: ReadingRoom):
    correct(visitor, room, volume="1480")
    assert correct(visitor, room, seen="corrected", verdict="accepted").status_code == 303
    assert "Reader</th>" not in page_of(visitor, room)


def test_a_result_without_any_value_offers_no_correction(visitor, room: ReadingRoom):
    room.result("empty", findings=(), measurements=())
    text = visitor.get(f"/results/{room.keys['empty']}").text
    assert 'value="accepted"' in text
    assert 'value="corrected"' not in text


@pytest.fixture
def unconfirmed(room: ReadingRoom) -> None:
    change = {"what": "Outline of Brain", "before": "as the model drew it", "after": "drawn anew", "unit": ""}
    room.verdict(
        "brain",
        ReviewState.CORRECTED,
        by="",
        organization="",
        source="pacs",
        evidence="2.25.77",
        agreement={"Brain": 0.931},
        changes=(change,),
    )


@pytest.mark.usefixtures("unconfirmed")
def test_a_correction_out_of_an_archive_says_so_with_its_evidence(visitor, room: ReadingRoom):
    text = page_of(visitor, room)
    assert all(each in text for each in ("Corrected, unconfirmed", "Received from pacs", "2.25.77", "Brain 0.93"))
    assert "Corrected, unconfirmed" in visitor.get("/?state=corrected").text


@pytest.mark.usefixtures("unconfirmed")
def test_a_correction_out_of_an_archive_is_confirmed_by_a_person(visitor, room: ReadingRoom):
    assert correct(visitor, room, seen="corrected").status_code == 303
    review = room.ledger.reviews.newest(room.keys["brain"])
    assert (review.by, review.source, review.evidence, review.agreement) == (
        "Ada Okafor",
        "",
        "2.25.77",
        {"Brain": 0.931},
    )
    assert "unconfirmed" not in visitor.get("/?state=corrected").text
