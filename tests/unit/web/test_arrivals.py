"""Each series says why a model ran on it or none did."""

from __future__ import annotations

import html

import pytest

from tests.data.reading_room import ReadingRoom, fill, uid


def test_a_series_without_a_match_says_which_condition_failed(visitor, room: ReadingRoom):
    room.series("localizer", modality="CT", facts={"Modality": ("CT",), "ImageType": ("ORIGINAL", "LOCALIZER")})
    text = html.unescape(visitor.get("/series").text)
    assert "Why did no AI run here?" in text
    assert "ImageType is ORIGINAL, LOCALIZER, which it excludes" in text


def test_a_matched_series_says_why(visitor, room: ReadingRoom):
    room.series("ct", modality="CT")
    assert "Why did a model run here?" in visitor.get("/series").text


@pytest.mark.parametrize(("show", "seen"), [("matched", "ct"), ("unmatched", "mr")])
def test_series_can_be_filtered(visitor, room: ReadingRoom, show, seen):
    room.series("ct", modality="CT")
    room.series("mr", modality="MR")
    text = visitor.get(f"/series?show={show}").text
    assert [word for word in ("ct", "mr") if uid(f"series {word}") in text] == [seen]


def test_a_series_whose_rules_were_not_asked_says_so(visitor, room: ReadingRoom):
    record = room.series("ct", modality="CT")
    room.ledger.explain_series(record.series_uid, 1, matched=False, explanation="")
    assert "The rules were not asked yet." in visitor.get("/series").text


def test_a_study_shows_its_series_jobs_and_results(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get(f"/studies/{uid('study brain')}").text
    assert uid("series brain") in text
    assert f'href="/results/{room.keys["brain"]}"' in text
    assert room.keys["text"] not in text


def test_a_study_shows_what_happened_to_its_series_and_to_no_other(visitor, room: ReadingRoom):
    mine, other = room.series("ct", modality="CT"), room.series("mr", modality="MR")
    room.ledger.record("series-waits", mine.series_uid, "the plugin ward raised KeyError")
    room.ledger.record("series-waits", other.series_uid, "another reason")
    text = visitor.get(f"/studies/{mine.study_uid}").text
    assert "the plugin ward raised KeyError" in text
    assert "another reason" not in text


@pytest.mark.parametrize("study", ["1.2.3", "not-a-uid", "1" * 65])
def test_an_unknown_study_is_not_found(visitor, study):
    assert visitor.get(f"/studies/{study}").status_code == 404
