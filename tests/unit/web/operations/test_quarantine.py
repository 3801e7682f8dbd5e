"""Images in quarantine are shown wherever their series is, and a person decides about them."""

from __future__ import annotations

import pytest

from tests.data.reading_room import ReadingRoom, quarantine

WHAT = "2 images from EVIL: other content under the same SOP Instance UID (earlier images are from CT1)"


@pytest.fixture
def series_uid(room: ReadingRoom) -> str:
    """Return a series with a result, of which another sender brought two images."""
    series = room.series("brain")
    room.result("brain", series=series)
    quarantine(room, series)
    return series.series_uid


def test_every_page_about_the_series_says_so(visitor, room: ReadingRoom, series_uid: str):
    job = room.keys["brain"]
    study = room.ledger.jobs.get(job).study_uid
    for address in ("/quarantine", "/series", f"/studies/{study}", f"/results/{job}"):
        assert WHAT in visitor.get(address).text, address


def form(series_uid: str, decision: str) -> dict[str, str]:
    return {"series_uid": series_uid, "sender": "EVIL", "decision": decision, "by": "Ada Okafor"}


@pytest.mark.parametrize(("decision", "kind"), [("take", "images-taken"), ("refuse", "images-refused")])
def test_a_person_decides_once(visitor, room: ReadingRoom, series_uid: str, decision: str, kind: str):
    assert visitor.post("/quarantine", data=form(series_uid, decision)).status_code == 303
    assert "No image is in quarantine" in visitor.get("/quarantine").text
    (event,) = room.ledger.events.newest(kind=kind)
    assert (event.subject, event.by) == (series_uid, "Ada Okafor")
    again = visitor.post("/quarantine", data=form(series_uid, decision))
    assert again.status_code == 409
    assert "Nothing was changed" in again.text


@pytest.mark.parametrize("wrong", [{"by": " "}, {"decision": "both"}, {"series_uid": "x"}, {"sender": ""}])
def test_what_is_no_decision_changes_nothing(visitor, room: ReadingRoom, series_uid: str, wrong: dict[str, str]):
    assert visitor.post("/quarantine", data=form(series_uid, "take") | wrong).status_code in {400, 422}
    assert len(room.ledger.quarantine.waiting()) == 1
