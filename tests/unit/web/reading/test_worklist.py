"""The worklist shows what waits, the most urgent first."""

from __future__ import annotations

import re

import pytest

from orchestrator.domain.records import DeliveryState
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.web.reading import worklist
from tests.data.reading_room import ReadingRoom, fill


def keys_of(text: str) -> list[str]:
    return re.findall(r'<li class="row" data-key="([0-9a-f]{64})"', text)


def test_waiting_results_are_listed_by_urgency_then_by_wait(visitor, room: ReadingRoom):
    fill(room)
    words = ("haemorrhage", "nodule", "no text", "bone", "text", "brain")
    assert keys_of(visitor.get("/").text) == [room.keys[word] for word in words]


def test_urgency_is_worded_and_not_only_coloured(visitor, room: ReadingRoom):
    room.result("bleeding", urgency=Urgency.IMMEDIATE)
    assert "Immediate: act within minutes" in visitor.get("/").text


def test_a_measured_volume_is_said_in_one_line(visitor, room: ReadingRoom):
    room.result("brain")
    assert "<li>Brain 1,502 ml</li>" in visitor.get("/").text


def test_a_finding_is_said_with_its_score(visitor, room: ReadingRoom):
    room.result("text", findings=({"name": "Burned-in text", "value": "present", "score": 0.93},))
    assert "<li>Burned-in text: present, score 0.93</li>" in visitor.get("/").text


def test_a_row_begins_with_its_most_urgent_finding(visitor, room: ReadingRoom):
    nodule = {"name": "Nodule", "value": "present", "urgency": "non-urgent"}
    bleeding = {"name": "Haemorrhage", "value": "present", "urgency": "immediate"}
    room.result("head", findings=(nodule, bleeding), urgency=Urgency.IMMEDIATE)
    text = visitor.get("/").text
    assert text.index("<li>Haemorrhage: present") < text.index("<li>Nodule: present")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (DeliveryState.CONFIRMED, "Stored in pacs"),
        (DeliveryState.UNCONFIRMED, "Sent to pacs, storage not confirmed"),
        (DeliveryState.WAITING, "Waiting for pacs: the archive does not answer"),
    ],
)
def test_the_row_says_where_the_objects_are(visitor, room: ReadingRoom, state, words):
    room.result("brain", delivery=state)
    assert words in visitor.get("/").text


def test_filters_show_other_states(visitor, room: ReadingRoom):
    fill(room)
    assert keys_of(visitor.get("/?state=rejected").text) == [room.keys["rejected"]]
    assert len(keys_of(visitor.get("/?state=all").text)) == 9


def test_the_model_filter_keeps_only_its_results(visitor, room: ReadingRoom):
    fill(room)
    found = keys_of(visitor.get("/?model=burned-in-text").text)
    assert found == [room.keys["no text"], room.keys["text"]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("urgency=immediate", ["haemorrhage"]),
        ("urgency=none&sort=newest", ["brain", "text", "bone", "no text"]),
        ("sort=oldest", ["no text", "bone", "text", "nodule", "brain", "haemorrhage"]),
        ("model=brain-mask&state=all&sort=newest", ["brain", "accepted", "rejected", "old"]),
        ("age=day&urgency=urgent", ["nodule"]),
    ],
)
def test_a_view_is_filtered_and_sorted_by_its_address(visitor, room: ReadingRoom, query, words):
    fill(room)
    assert keys_of(visitor.get(f"/?{query}").text) == [room.keys[word] for word in words]


def test_old_results_are_left_out_where_one_asks_for_young_ones(visitor, room: ReadingRoom):
    room.result("old", minutes=3 * 24 * 60)
    assert keys_of(visitor.get("/?age=day").text) == []
    assert keys_of(visitor.get("/?age=week").text) == [room.keys["old"]]


def test_each_filter_says_how_many_it_leaves(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get("/?model=burned-in-text").text
    assert "Pending <b>2</b>" in text
    assert "Immediate (0)" in text
    assert "haemorrhage (1)" in text


def test_filters_lead_on_to_views_that_keep_the_others(visitor, room: ReadingRoom):
    fill(room)
    text = visitor.get("/?model=brain-mask&sort=newest").text
    assert 'href="/?state=accepted&amp;model=brain-mask&amp;sort=newest"' in text
    assert f'href="/results/{room.keys["brain"]}?model=brain-mask&amp;sort=newest"' in text


def test_the_list_has_pages(visitor, room: ReadingRoom, monkeypatch):
    monkeypatch.setattr(worklist, "SHOWN", 4)
    fill(room)
    first, second = visitor.get("/").text, visitor.get("/?page=2").text
    assert len(keys_of(first)) + len(keys_of(second)) == len(set(keys_of(first) + keys_of(second))) == 6
    assert 'rel="next" href="/?page=2"' in first
    assert "Page 2 of 2, 6 results" in second


def test_a_page_that_became_empty_leads_to_the_first(visitor, room: ReadingRoom):
    room.result("brain")
    assert "Back to the first page" in visitor.get("/?page=7").text


def test_a_filter_that_leaves_nothing_says_what_there_is_without_it(visitor, room: ReadingRoom):
    room.result("brain")
    text = visitor.get("/?urgency=immediate").text
    assert "Without filters: 1" in text
    assert 'href="/">Show without filters' in text


@pytest.mark.parametrize(
    "query", ["state=unheard-of", "urgency=soon", "age=old", "sort=size", "page=0", f"model={'x' * 129}"]
)
def test_an_address_that_says_no_view_is_refused(visitor, query):
    assert visitor.get(f"/?{query}").status_code == 422


def test_an_empty_worklist_says_so_and_where_to_look(visitor):
    text = visitor.get("/").text
    assert "No result is awaiting review." in text
    assert 'href="/series">Series</a> for why no model ran' in text


def test_a_row_looks_new_when_its_verdict_changes(visitor, room: ReadingRoom):
    room.result("brain")
    before = re.findall(r'data-version="(\w+)"', visitor.get("/?state=all").text)
    assert before == re.findall(r'data-version="(\w+)"', visitor.get("/?state=all").text)
    room.verdict("brain", ReviewState.ACCEPTED)
    assert before != re.findall(r'data-version="(\w+)"', visitor.get("/?state=all").text)


def test_the_page_names_the_event_that_it_shows(visitor, room: ReadingRoom):
    room.result("brain")
    assert f'data-after="{room.ledger.events.last_sequence()}"' in visitor.get("/").text


def test_text_from_a_model_is_never_markup(visitor, room: ReadingRoom):
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    room.result("brain", model=nasty, rule=nasty, findings=({"name": nasty, "value": nasty},))
    for path in ("/", f"/results/{room.keys['brain']}", "/jobs", f"/jobs/{room.keys['brain']}"):
        text = visitor.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
