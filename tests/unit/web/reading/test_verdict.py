"""A verdict is kept once, by name, and the slower of two reviewers is told."""

from __future__ import annotations

import html

import pytest

from orchestrator.domain.job import JobState
from orchestrator.domain.review import REVIEW_MOVES, VERDICTS, RejectReason, ReviewState
from tests.data.reading_room import ReadingRoom

ADA = {"by": "Ada Okafor", "organization": "St. Anna"}
BEN = {"by": "Ben Yilmaz", "organization": "St. Anna"}


def give(visitor, room: ReadingRoom, verdict: str, *, seen: str = "pending", **form: str):
    data = {**ADA, "seen": seen, "verdict": verdict, **form}
    return visitor.post(f"/results/{room.keys['brain']}/verdict", data=data)


@pytest.fixture(autouse=True)
def result(room: ReadingRoom) -> None:
    room.result("brain")


def test_accepting_returns_to_the_result(visitor, room: ReadingRoom):
    answer = give(visitor, room, "accepted", comment=" clear ")
    review = room.ledger.reviews.newest(room.keys["brain"])
    assert (answer.status_code, answer.headers["location"]) == (303, f"/results/{room.keys['brain']}")
    assert (review.state, review.by, review.organization, review.comment) == (
        "accepted",
        "Ada Okafor",
        "St. Anna",
        "clear",
    )


@pytest.mark.parametrize("reason", list(RejectReason))
def test_rejecting_keeps_the_reason(visitor, room: ReadingRoom, reason):
    assert give(visitor, room, "rejected", reason=reason).status_code == 303
    assert room.ledger.reviews.newest(room.keys["brain"]).reason == reason


def test_a_reason_left_over_from_the_form_does_not_stay_with_an_acceptance(visitor, room: ReadingRoom):
    give(visitor, room, "accepted", reason="wrong-side")
    assert room.ledger.reviews.newest(room.keys["brain"]).reason == ""


def test_rejecting_without_a_reason_is_refused(visitor, room: ReadingRoom):
    answer = give(visitor, room, "rejected")
    assert answer.status_code == 422
    assert "A rejection needs a reason" in answer.text
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "pending"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("by", ""),
        ("by", "   "),
        ("by", "x" * 65),
        ("by", "a\\b"),
        ("by", "a\nb"),
        ("organization", ""),
        ("comment", "x" * 1001),
        ("reason", "because"),
        ("seen", "unseen"),
        ("verdict", "pending"),
        ("verdict", "superseded"),
        ("surprise", "1"),
    ],
)
def test_a_form_that_is_not_right_changes_nothing(visitor, room: ReadingRoom, field, value):
    answer = give(visitor, room, **{"verdict": "accepted", field: value})
    assert answer.status_code == 422
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "pending"


def test_what_was_typed_is_not_echoed_by_a_refusal(visitor, room: ReadingRoom):
    assert "xxxx" not in give(visitor, room, "accepted", by="x" * 65).text


def test_the_second_of_two_reviewers_is_told(visitor, room: ReadingRoom):
    give(visitor, room, "accepted")
    answer = give(visitor, room, "rejected", reason="wrong", comment="I see a gap", **BEN)
    text = html.unescape(answer.text)
    assert answer.status_code == 409
    assert "Verdict not saved" in text
    assert "Ada Okafor" in text
    assert "I see a gap" in text
    assert len(room.ledger.reviews.of_job(room.keys["brain"])) == 2


def test_a_verdict_leads_back_to_the_view_that_one_came_from(visitor, room: ReadingRoom):
    data = {**ADA, "seen": "pending", "verdict": "accepted"}
    answer = visitor.post(f"/results/{room.keys['brain']}/verdict?urgency=none&sort=newest&page=2", data=data)
    assert answer.headers["location"] == f"/results/{room.keys['brain']}?urgency=none&sort=newest&page=2"


def test_a_verdict_sent_twice_is_kept_once(visitor, room: ReadingRoom):
    give(visitor, room, "accepted")
    assert give(visitor, room, "accepted").status_code == 409
    assert len(room.ledger.reviews.of_job(room.keys["brain"])) == 2


def test_a_verdict_can_be_changed_by_who_saw_it(visitor, room: ReadingRoom):
    give(visitor, room, "accepted")
    assert give(visitor, room, "rejected", seen="accepted", reason="wrong", **BEN).status_code == 303
    assert room.ledger.reviews.newest(room.keys["brain"]).by == "Ben Yilmaz"


def test_a_superseded_result_takes_no_verdict(visitor, room: ReadingRoom):
    room.verdict("brain", ReviewState.SUPERSEDED, by="host")
    answer = give(visitor, room, "accepted", seen="superseded")
    assert answer.status_code == 409
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "superseded"


def test_a_superseded_job_takes_no_verdict_before_its_review_says_so(visitor, room: ReadingRoom):
    room.ledger.jobs.move(room.keys["brain"], JobState.SUPERSEDED, reason="2 more instances arrived")
    assert give(visitor, room, "accepted").status_code == 409
    assert "takes no verdict" in visitor.get(f"/results/{room.keys['brain']}").text


@pytest.mark.parametrize("seen", ["pending", "retracted"])
def test_a_retracted_result_takes_no_verdict(visitor, room: ReadingRoom, seen):
    room.verdict("brain", ReviewState.RETRACTED, comment="the scale was off")
    assert give(visitor, room, "accepted", seen=seen).status_code == 409
    text = visitor.get(f"/results/{room.keys['brain']}").text
    assert "Retracted: this result takes no verdict" in text
    assert "the scale was off" in text
    assert "verdict-form" not in text


def test_a_cancelled_result_takes_no_verdict(visitor, room: ReadingRoom):
    job = room.job("stopped")
    room.ledger.jobs.move(job.key, JobState.RUNNING)
    room.ledger.jobs.move(job.key, JobState.DELIVERING)
    room.ledger.reviews.open(job.key, job.updated_at)
    room.ledger.jobs.move(job.key, JobState.FAILED, reason="cancelled by Dr Curie")
    data = {**ADA, "seen": "pending", "verdict": "accepted"}
    assert visitor.post(f"/results/{job.key}/verdict", data=data).status_code == 409
    assert "verdict-form" not in visitor.get(f"/results/{job.key}").text


def test_a_superseded_result_offers_no_form(visitor, room: ReadingRoom):
    room.verdict("brain", ReviewState.SUPERSEDED, by="host")
    text = visitor.get(f"/results/{room.keys['brain']}").text
    assert "Superseded: this result takes no verdict" in text
    assert "verdict-form" not in text


@pytest.mark.parametrize("state", [ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED])
def test_only_allowed_verdicts_are_offered(visitor, room: ReadingRoom, state):
    room.verdict("brain", state, reason="wrong")
    text = visitor.get(f"/results/{room.keys['brain']}").text
    offered = {each for each in ReviewState if f'name="verdict" value="{each}"' in text}
    assert offered == REVIEW_MOVES[state] & VERDICTS


def test_enter_in_a_text_field_never_accepts(visitor, room: ReadingRoom):
    form = visitor.get(f"/results/{room.keys['brain']}").text.split('id="verdict-form">')[1]
    assert (
        form.index('<button type="submit" disabled hidden>') < form.index('name="by"') < form.index('value="accepted"')
    )


def test_observers_are_told_of_both_states(visitor, room: ReadingRoom, told):
    give(visitor, room, "accepted")
    ((_, before, after),) = told
    assert (before.state, after.state, after.by) == ("pending", "accepted", "Ada Okafor")


def test_observers_are_not_told_of_a_verdict_that_was_not_kept(visitor, room: ReadingRoom, told):
    give(visitor, room, "rejected")
    assert told == []


def test_the_browser_remembers_the_reviewer(visitor, room: ReadingRoom):
    cookie = give(visitor, room, "accepted", by="Zoë d'Arc, MD").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    visitor.headers["cookie"] = cookie.split(";")[0]
    assert 'value="Zoë d&#39;Arc, MD"' in visitor.get(f"/results/{room.keys['brain']}").text


@pytest.mark.parametrize("cookie", ["", "|", "a|", "%0a|b", "x" * 300 + "|b", '"><script>|b'])
def test_a_cookie_that_is_not_ours_is_harmless(visitor, room: ReadingRoom, cookie):
    visitor.headers["cookie"] = f"orchestrator-reviewer={cookie}"
    answer = visitor.get(f"/results/{room.keys['brain']}")
    assert answer.status_code == 200
    assert '"><script>' not in answer.text


def test_an_unknown_result_takes_no_verdict(visitor):
    data = {**ADA, "seen": "pending", "verdict": "accepted"}
    assert visitor.post("/results/abcdef123456/verdict", data=data).status_code == 404
