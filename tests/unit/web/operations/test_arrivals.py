"""Each series says why a model ran on it or none did."""

from __future__ import annotations

import html

import pytest

from orchestrator.domain.fetching import FetchRecord, FetchState
from tests.data.reading_room import ReadingRoom, fill, now, uid


def test_a_series_without_a_match_says_which_condition_failed(visitor, room: ReadingRoom):
    room.series("localizer", modality="CT", facts={"Modality": ("CT",), "ImageType": ("ORIGINAL", "LOCALIZER")})
    text = html.unescape(visitor.get("/series").text)
    assert "Why did no AI run?" in text
    assert "ImageType is ORIGINAL, LOCALIZER, which the rule excludes" in text


def test_a_matched_series_says_why(visitor, room: ReadingRoom):
    room.series("ct", modality="CT")
    assert "Why did a model run?" in visitor.get("/series").text


@pytest.mark.parametrize(("show", "seen"), [("matched", "ct"), ("unmatched", "mr")])
def test_series_can_be_filtered(visitor, room: ReadingRoom, show, seen):
    room.series("ct", modality="CT")
    room.series("mr", modality="MR")
    text = visitor.get(f"/series?show={show}").text
    assert [word for word in ("ct", "mr") if uid(f"series {word}") in text] == [seen]


def test_a_series_whose_rules_were_not_asked_says_so(visitor, room: ReadingRoom):
    record = room.series("ct", modality="CT")
    room.ledger.series.explain(record.series_uid, 1, matched=False, explanation="")
    assert "The rules have not been checked yet." in visitor.get("/series").text


def test_a_study_shows_its_series_jobs_and_results(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get(f"/studies/{uid('study brain')}").text
    assert uid("series brain") in text
    assert f'href="/results/{room.keys["brain"]}"' in text
    assert room.keys["text"] not in text


def test_a_study_shows_what_happened_to_its_series_and_to_no_other(visitor, room: ReadingRoom):
    mine, other = room.series("ct", modality="CT"), room.series("mr", modality="MR")
    room.ledger.events.record("series-waits", mine.series_uid, "the plugin ward raised KeyError")
    room.ledger.events.record("series-waits", other.series_uid, "another reason")
    text = visitor.get(f"/studies/{mine.study_uid}").text
    assert "the plugin ward raised KeyError" in text
    assert "another reason" not in text


def fetch(series_uid: str, state: FetchState, error: str = "") -> FetchRecord:
    return FetchRecord(
        archive="pacs",
        series_uid=series_uid,
        study_uid=uid("study ct"),
        state=state,
        count=12,
        due_at=now(),
        changed_at=now(),
        error=error,
    )


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (FetchState.UNWANTED, "head CT: Modality is MR, expected CT", "head CT: Modality is MR, expected CT"),
        (FetchState.UNWANTED, "", "No rule can match this series."),
        (FetchState.WAITING, "pacs hands out nothing", "pacs hands out nothing"),
        (FetchState.WAITING, "", "Waiting until no more images arrive."),
    ],
)
def test_a_study_shows_what_an_archive_has_of_it_and_why_it_is_not_here(visitor, room: ReadingRoom, state, error, said):
    room.ledger.fetches.put([fetch("1.2.3", state, error)])
    answer = visitor.get(f"/studies/{uid('study ct')}")
    assert answer.status_code == 200
    assert said in html.unescape(answer.text)


def test_a_series_that_arrived_is_not_shown_as_missing(visitor, room: ReadingRoom):
    room.ledger.fetches.put([fetch(room.series("ct", modality="CT").series_uid, FetchState.FETCHED)])
    assert "In an archive, not fetched" not in visitor.get(f"/studies/{uid('study ct')}").text


def test_a_study_that_was_never_seen_says_where_images_come_from(visitor, room: ReadingRoom):
    room.ledger.watches.record_scan("pacs", "1", [], now())
    room.ledger.watches.record_wait("busy", "archive 'busy' does not answer", now())
    answer = visitor.get("/studies/1.2.3")
    text = html.unescape(answer.text)
    assert (answer.status_code, "not known here" in text) == (404, True)
    assert "is watched, last scanned" in text
    assert "archive 'busy' does not answer" in text
    assert "is not watched: this host receives only what it sends" in text


@pytest.mark.parametrize("study", ["1.2.3", "not-a-uid", "1" * 65])
def test_an_unknown_study_is_not_found(visitor, study):
    assert visitor.get(f"/studies/{study}").status_code == 404


def test_a_study_is_found_by_its_uid(visitor):
    answer = visitor.get("/studies?uid=%201.2.3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1.2.3")


def test_what_is_no_uid_is_refused_and_not_repeated(visitor):
    answer = visitor.get("/studies?uid=ACC4711")
    assert (answer.status_code, "ACC4711" in answer.text) == (422, False)
    assert "Study Instance UID (digits and dots)" in answer.text
