"""Where a second person must judge: who, what they see before, and what happens when they differ."""

from __future__ import annotations

import html

import pytest

from orchestrator.domain.reading import ReadingPolicy, SecondReader
from orchestrator.domain.review import ReviewState
from tests.data.reading_room import ReadingRoom

ADA = {"by": "Ada Okafor", "organization": "St. Anna"}
BEN = {"by": "Ben Yilmaz", "organization": "St. Anna"}
EVA = {"by": "Eva Lind", "organization": "St. Anna"}


@pytest.fixture
def reading() -> ReadingPolicy:
    return ReadingPolicy(SecondReader.ALL)


@pytest.fixture(autouse=True)
def result(room: ReadingRoom) -> None:
    room.result("brain")


def give(visitor, room: ReadingRoom, verdict: str, who: dict[str, str], *, seen: str = "pending", **form: str):
    data = {**who, "seen": seen, "verdict": verdict, **form}
    return visitor.post(f"/results/{room.keys['brain']}/verdict", data=data)


def state(room: ReadingRoom) -> str:
    return room.ledger.reviews.newest(room.keys["brain"]).state


def test_a_first_verdict_waits_for_another_person(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", ADA)
    text = visitor.get(f"/results/{room.keys['brain']}").text
    assert state(room) == "second-reader"
    assert "First reader: Ada Okafor" in text
    assert 'value="accepted"' in text


@pytest.mark.parametrize("path", ["/results/{}", "/jobs/{}", "/?state=second-reader", "/?state=all"])
def test_the_second_reader_does_not_see_what_the_first_one_said(visitor, room: ReadingRoom, path):
    give(visitor, room, "rejected", ADA, reason="wrong-side", comment="it is the left one")
    text = html.unescape(visitor.get(path.format(room.keys["brain"])).text)
    hidden = (": wrong-side", "it is the left one", "review.rejected", 'data-state="rejected"', "pending -> rejected")
    assert [each for each in hidden if each in text] == []


def test_what_the_first_reader_said_is_shown_once_the_second_has_spoken(visitor, room: ReadingRoom):
    give(visitor, room, "rejected", ADA, reason="wrong-side", comment="it is the left one")
    give(visitor, room, "rejected", BEN, seen="second-reader", reason="wrong-side")
    text = visitor.get(f"/results/{room.keys['brain']}").text
    assert state(room) == "rejected"
    assert "it is the left one" in text
    assert "review.rejected" in text


def test_nobody_is_second_to_themselves(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", ADA)
    answer = give(visitor, room, "accepted", {**ADA, "by": "ada okafor"}, seen="second-reader")
    assert (answer.status_code, state(room)) == (409, "second-reader")
    assert "the second reader must be another person" in answer.text


def test_who_comes_too_late_to_be_first_does_not_see_the_first_verdict(visitor, room: ReadingRoom):
    give(visitor, room, "rejected", ADA, reason="wrong-side")
    answer = give(visitor, room, "accepted", BEN)
    assert (answer.status_code, "waits for a second reader" in answer.text) == (409, True)
    assert "wrong side" not in answer.text.lower()


def test_readers_who_differ_are_found_in_the_worklist(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", ADA)
    give(visitor, room, "rejected", BEN, seen="second-reader", reason="incomplete", comment="a gap")
    assert state(room) == "disagreed"
    assert room.keys["brain"] in visitor.get("/?state=disagreed").text
    text = visitor.get(f"/results/{room.keys['brain']}").text
    assert all(each in text for each in ("Ada Okafor", "Ben Yilmaz", "a gap", "The two readers disagree"))


def test_a_third_verdict_settles_it_with_a_word_on_how(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", ADA)
    give(visitor, room, "rejected", BEN, seen="second-reader", reason="incomplete")
    assert give(visitor, room, "accepted", EVA, seen="disagreed").status_code == 422
    assert give(visitor, room, "accepted", EVA, seen="disagreed", comment="looked at the old CT").status_code == 303
    assert (state(room), room.ledger.reviews.newest(room.keys["brain"]).by) == ("accepted", "Eva Lind")


def test_a_third_reader_may_keep_the_correction_of_one_of_the_two(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", ADA)
    change = {"what": "Outline of Brain", "before": "as the model drew it", "after": "drawn anew", "unit": ""}
    room.verdict("brain", ReviewState.CORRECTED, by="Ben Yilmaz", source="pacs", evidence="2.25.7", changes=(change,))
    assert state(room) == "disagreed"
    give(visitor, room, "corrected", EVA, seen="disagreed", comment="the edited outline is right")
    review = room.ledger.reviews.newest(room.keys["brain"])
    assert (review.state, review.by, review.evidence, review.changes) == ("corrected", "Eva Lind", "2.25.7", (change,))


def test_observers_hear_of_a_verdict_when_it_stands(visitor, room: ReadingRoom, told):
    give(visitor, room, "rejected", ADA, reason="wrong")
    give(visitor, room, "rejected", BEN, seen="second-reader", reason="wrong")
    assert [(before.state, after.state) for _, before, after in told] == [
        ("pending", "second-reader"),
        ("second-reader", "rejected"),
    ]


class TestWithoutBlinding:
    @pytest.fixture
    def reading(self) -> ReadingPolicy:
        return ReadingPolicy(SecondReader.ALL, blinded=False)

    def test_the_second_reader_sees_the_first_verdict_where_the_department_wants_it(self, visitor, room: ReadingRoom):
        give(visitor, room, "rejected", ADA, reason="wrong-side", comment="it is the left one")
        text = visitor.get(f"/results/{room.keys['brain']}").text
        assert "it is the left one" in text
        assert "review.rejected" in text
