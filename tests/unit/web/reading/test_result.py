"""The page of one result says what was found, by what, and from what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.images import ImageCount, LeftOut
from orchestrator.domain.records import DeliveryState, ObjectKind
from orchestrator.domain.review import ReviewState
from orchestrator.web.reading import worklist
from tests.data.reading_room import Drawings, Entry, ReadingRoom, fill, uid


def page_of(visitor, room: ReadingRoom, word: str, query: str = "") -> str:
    answer = visitor.get(f"/results/{room.keys[word]}{query}")
    assert answer.status_code == 200
    return answer.text


def test_it_says_that_nobody_verified_it(visitor, room: ReadingRoom):
    room.result("brain")
    assert "AI result &ndash; not verified.</strong> Not a diagnosis." in page_of(visitor, room, "brain")


@pytest.mark.parametrize(
    "said",
    ["brain on T1", "cpu", "2.93 s", "quiet for 30 s", "Brain volume", "1,502 ml", "Stored in pacs", "readback"],
)
def test_it_says_where_the_result_comes_from(visitor, room: ReadingRoom, said):
    room.result("brain")
    assert said in page_of(visitor, room, "brain")


def test_it_says_how_many_of_the_received_images_were_read(visitor, room: ReadingRoom):
    job = room.result("brain")
    room.ledger.jobs.annotate(job.key, images=ImageCount(21, 20, {"1.2.3": LeftOut.LOCALIZER}).to_json())
    assert "Read: 20 of 21 received images. Left out: 1 localizer (1.2.3)." in page_of(visitor, room, "brain")


@pytest.mark.parametrize("said", ["Threshold", "0.5", "Weights sha256", "Onnxruntime", "1.22.0"])
def test_it_says_how_it_was_computed_as_the_report_has_it(visitor, room: ReadingRoom, said):
    room.result("brain")
    assert said in page_of(visitor, room, "brain")


def test_earlier_and_newer_results_of_the_model_lead_to_each_other(visitor, room: ReadingRoom):
    series = room.series("brain")
    first, second = room.result("brain", series=series, minutes=20), room.result("again", series=series, minutes=5)
    assert f'<dt>Newer result</dt><dd><a href="/jobs/{second.key}">' in page_of(visitor, room, "brain")
    assert f'<dt>Earlier result</dt><dd><a href="/jobs/{first.key}">' in page_of(visitor, room, "again")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("identity-changed", "changed the patient"), ("result-stale", "The series changed after this result")],
)
def test_what_happened_to_the_study_since_is_said_beside_the_verdict(visitor, room: ReadingRoom, kind, words):
    job = room.result("brain")
    assert words not in page_of(visitor, room, "brain")
    room.ledger.events.record(kind, job.key, "pacs holds the study with another PatientID")
    assert words in page_of(visitor, room, "brain")


def test_it_names_every_object(visitor, room: ReadingRoom):
    job = room.result("brain")
    text = page_of(visitor, room, "brain")
    assert all(f'data-copy="{each.sop_uid}"' in text for each in room.ledger.objects.of_job(job.key))


def test_a_delivery_that_waits_says_why(visitor, room: ReadingRoom):
    room.result("brain", delivery=DeliveryState.WAITING)
    assert "Waiting for pacs: the archive does not answer" in page_of(visitor, room, "brain")


def test_the_rule_that_fired_is_explained(visitor, room: ReadingRoom):
    facts = {"Modality": ("MR",), "SeriesDescription": ("T1 MPRAGE",)}
    room.result("brain", series=room.series("brain", facts=facts))
    text = page_of(visitor, room, "brain")
    assert "Why this rule matched" in text
    assert "T1 MPRAGE" in text


def test_the_model_card_is_shown_without_its_markup(visitor, room: ReadingRoom):
    room.result("brain")
    text = page_of(visitor, room, "brain")
    assert "<h2>Limits</h2>" in text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_a_card_of_another_version_says_so(visitor, room: ReadingRoom):
    room.result("brain", model_version="0.8.0")
    assert "this result was made by 0.8.0" in page_of(visitor, room, "brain")


def test_a_model_that_is_gone_leaves_its_results(visitor, room: ReadingRoom):
    room.result("brain", model="bygone")
    assert "no longer installed" in page_of(visitor, room, "brain")


def test_the_best_slice_is_shown_first(visitor, room: ReadingRoom):
    room.result("brain")
    assert "/slices/11.png?v=" in page_of(visitor, room, "brain")


def test_a_slice_can_be_asked_for_without_scripts(visitor, room: ReadingRoom):
    room.result("brain")
    text = page_of(visitor, room, "brain", "?slice=4")
    assert "/slices/4.png?v=" in text
    assert 'href="?slice=3"' in text
    assert 'href="?slice=5"' in text


def test_each_entry_with_a_place_leads_to_its_slice(visitor, room: ReadingRoom):
    room.result("brain")
    text = page_of(visitor, room, "brain")
    assert 'data-spot="measurements/0" data-slice="11" href="?spot=measurements/0"' in text
    assert 'data-spot="findings/0"' not in text


def test_an_entry_is_marked_on_its_slice_without_scripts(visitor, room: ReadingRoom):
    nodule = {"name": "Nodule", "value": "present"}
    room.result("brain", findings=(nodule,))
    text = page_of(visitor, room, "brain", "?sort=newest&spot=findings/0")
    assert "/slices/6.png?v=" in text
    assert "&amp;spot=findings/0" in text
    assert 'href="?sort=newest&amp;spot=measurements/0"' in text


@pytest.mark.parametrize("spot", ["findings/99", "measurements/5"])
def test_an_entry_without_a_place_marks_nothing(visitor, room: ReadingRoom, spot):
    room.result("brain")
    text = page_of(visitor, room, "brain", f"?spot={spot}")
    assert "/slices/11.png?v=" in text
    assert "&amp;spot=" not in text.split('id="slice"')[1].split(">")[0]


@pytest.mark.parametrize("spot", ["findings", "findings/x", "objects/0", "../0"])
def test_an_address_that_names_no_entry_is_refused(visitor, room: ReadingRoom, spot):
    assert visitor.get(f"/results/{room.result('brain').key}?spot={spot}").status_code == 422


def test_a_result_whose_files_are_gone_is_still_a_page(visitor, room: ReadingRoom, pictures: Drawings):
    pictures.gone.add(room.result("brain").key)
    text = page_of(visitor, room, "brain")
    assert "No picture" in text
    assert "1,502 ml" in text


def test_a_map_is_shown_with_its_scale_of_colours(visitor, room: ReadingRoom, pictures: Drawings):
    pictures.drawing.legend = (Entry("Likelihood", (253, 231, 37), "0 to 1", ((68, 1, 84), (253, 231, 37))),)
    pictures.drawing.map_names = ("Likelihood",)
    room.result("brain")
    text = page_of(visitor, room, "brain")
    assert '<stop offset="0.0" stop-color="rgb(68,1,84)"/><stop offset="1.0" stop-color="rgb(253,231,37)"/>' in text
    assert "<b>Likelihood</b> 0 to 1" in text
    assert 'id="map"' not in text  # there is nothing to choose


def test_a_result_that_is_nothing_but_a_map_says_so(visitor, room: ReadingRoom):
    job = room.result("brain", findings=(), measurements=())
    assert "no finding and no measurement.</p>" in page_of(visitor, room, "brain")
    (sr,) = [each for each in room.ledger.objects.of_job(job.key) if each.kind is ObjectKind.SR]
    room.ledger.objects.put(job.key, [replace(sr, sop_uid=f"{sr.sop_uid}.1", kind=ObjectKind.PM)])
    assert "It made a map; the pictures show the map in colours.</p>" in page_of(visitor, room, "brain")
    room.ledger.objects.put(job.key, [replace(sr, sop_uid=f"{sr.sop_uid}.2", kind=ObjectKind.PM)])
    assert "It made 2 maps; the pictures show one at a time in colours.</p>" in page_of(visitor, room, "brain")


def test_the_next_result_of_the_list_is_one_click_away(visitor, room: ReadingRoom):
    fill(room)
    text = page_of(visitor, room, "haemorrhage")
    assert f'href="/results/{room.keys["nodule"]}">Next result' in text


def test_the_next_result_is_that_of_the_view_that_one_came_from(visitor, room: ReadingRoom):
    fill(room)
    text = page_of(visitor, room, "no text", "?model=burned-in-text&sort=oldest")
    assert f'href="/results/{room.keys["text"]}?model=burned-in-text&amp;sort=oldest">Next result' in text
    assert 'href="/?model=burned-in-text&amp;sort=oldest">Worklist' in text


def test_the_next_result_may_be_on_the_next_page(visitor, room: ReadingRoom, monkeypatch):
    monkeypatch.setattr(worklist, "SHOWN", 2)
    fill(room)
    nodule, third = room.keys["nodule"], room.keys["no text"]
    assert f'href="/results/{nodule}">Next result' in page_of(visitor, room, "haemorrhage")
    assert f'href="/results/{third}?page=2">Next result' in page_of(visitor, room, "nodule")
    assert f'href="/results/{room.keys["bone"]}?page=2">Next result' in page_of(visitor, room, "no text", "?page=2")


def test_the_last_of_a_view_leads_back_to_it(visitor, room: ReadingRoom):
    fill(room)
    assert 'href="/?urgency=urgent">No further result' in page_of(visitor, room, "nodule", "?urgency=urgent")


def test_every_verdict_stays_in_the_history(visitor, room: ReadingRoom):
    room.result("brain")
    room.verdict("brain", ReviewState.ACCEPTED, comment="agreed at first")
    room.verdict("brain", ReviewState.REJECTED, reason="wrong", by="Ben Yilmaz")
    text = page_of(visitor, room, "brain")
    assert "agreed at first" in text
    assert "Ben Yilmaz" in text


def test_the_beginning_of_a_key_is_enough(visitor, room: ReadingRoom):
    assert visitor.get(f"/results/{room.result('brain').key[:8]}").status_code == 200


@pytest.mark.parametrize("key", ["abcdef123456", "zz", "..%2f..%2fetc", "A" * 200, "abcdef'--"])
def test_an_unknown_result_is_a_page_of_its_own(visitor, room: ReadingRoom, key):
    room.result("brain")
    answer = visitor.get(f"/results/{key}")
    assert answer.status_code == 404
    assert "Back to the results" in answer.text


def test_a_job_without_a_result_has_no_result_page(visitor, room: ReadingRoom):
    assert visitor.get(f"/results/{room.job('waits').key}").status_code == 404


def test_pages_hold_uids_and_no_path_of_this_machine(visitor, room: ReadingRoom):
    room.result("brain")
    text = page_of(visitor, room, "brain")
    assert uid("study brain") in text
    assert "/outbox/" not in text
