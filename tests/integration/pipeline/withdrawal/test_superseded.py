"""A delivered result that a newer one replaces: what the newer one names, and the note at each destination."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.dicom import WriteOptions
from orchestrator.domain.hours import Hours
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, ObjectKind
from orchestrator.domain.review import ReviewState
from tests.parts.archive.post import Post
from tests.parts.dicom.written import nothing
from tests.parts.results import add_result, named, notes_in, title, write_result
from tests.parts.withdrawal import OTHER, TwoArchives, states, uids

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("newer", [{"revision": 2}, {"version": "2.0"}], ids=["revision", "version"])
def test_a_newer_result_names_the_earlier_report_and_rejects_what_else_arrived(
    post: Post, sources: Sequence[Path], places: TwoArchives, newer: dict[str, object]
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    new = add_result(post, sources, "new", **newer)  # type: ignore[arg-type]
    post.run()
    (report,) = [item for item in post.ledger.objects.of_job(new.key) if item.kind is ObjectKind.SR]
    followed = dcmread(report.path).PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert {followed.ReferencedSOPInstanceUID} == uids(post, old, ObjectKind.SR)
    for folder in places.folders.values():
        (note,) = notes_in(folder)
        assert (title(note), named(note)) == ("113001", uids(post, old, ObjectKind.SEG))
    assert post.ledger.jobs.get(old.key).state is JobState.SUPERSEDED
    assert post.ledger.reviews.newest(old.key).state is ReviewState.SUPERSEDED  # type: ignore[union-attr]
    assert post.ledger.jobs.get(new.key).state is JobState.DONE


def test_a_report_that_nobody_follows_is_rejected_with_the_rest(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old", to=["pacs"])
    add_result(post, sources, "new", version="2.0", to=["pacs"])  # written before the old one has arrived anywhere
    post.run()
    (note,) = notes_in(places.folders["pacs"])
    assert named(note) == uids(post, old)


@pytest.mark.parametrize("was_tried", [True, False], ids=["tried", "never tried"])
def test_an_older_result_that_never_arrived_is_discarded_and_no_note_is_sent(
    post: Post, sources: Sequence[Path], places: TwoArchives, was_tried: bool
) -> None:
    places.away = {"pacs"}
    if not was_tried:
        places.settings["pacs"] = {"hours": Hours.parse("01:00-02:00 UTC")}
    old = add_result(post, sources, "old", to=["pacs"])
    post.run()
    new = add_result(post, sources, "new", version="2.0", to=["vna", "pacs"])
    post.run()
    assert post.ledger.jobs.get(old.key).state is JobState.SUPERSEDED
    places.away, places.settings["pacs"] = set(), {}
    post.run(14 * HOUR, every=MINUTE)
    assert post.ledger.jobs.get(new.key).state is JobState.DONE
    assert post.ledger.deliveries.get(old.key, "pacs").state is DeliveryState.DISCARDED
    assert notes_in(places.folders["pacs"]) == []
    # an attempt may have left something there, so a note was owed until the archive said that there is nothing
    assert states(post, old) == ({"pacs": DeliveryState.DISCARDED} if was_tried else {})


def test_a_destination_keeps_the_older_result_until_it_has_the_newer_one(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    places.away = {"vna"}
    add_result(post, sources, "new", version="2.0")
    post.run()
    assert states(post, old) == {"pacs": DeliveryState.CONFIRMED}
    places.away = set()
    post.run(HOUR, every=MINUTE)
    assert states(post, old) == {"pacs": DeliveryState.CONFIRMED, "vna": DeliveryState.CONFIRMED}


def test_a_destination_that_gets_no_newer_result_loses_the_older_one_at_the_end(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    add_result(post, sources, "new", version="2.0", to=["pacs"])
    post.run()
    assert states(post, old) == {"pacs": DeliveryState.CONFIRMED, "vna": DeliveryState.CONFIRMED}
    (note,) = notes_in(places.folders["vna"])
    assert named(note) == uids(post, old)


def test_each_form_is_followed_and_rejected_where_it_went(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    places.settings["vna"] = {"options": OTHER}
    forms = (WriteOptions(), OTHER)
    old = add_result(post, sources, "old", forms=forms)
    post.run()
    new = add_result(post, sources, "new", version="2.0", forms=forms)
    post.run()
    for name, form in (("pacs", ""), ("vna", OTHER.form)):
        written = {item.kind: item.sop_uid for item in post.ledger.objects.of_job(old.key, form)}
        (note,) = notes_in(places.folders[name])
        assert named(note) == {written[ObjectKind.SEG]}
        assert post.ledger.jobs.get(new.key).predecessors[form] == written[ObjectKind.SR]  # type: ignore[index]


def test_a_negative_result_has_nothing_that_a_note_must_reject(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old", says=nothing)
    post.run()
    add_result(post, sources, "new", version="2.0")
    post.run()
    assert set(states(post, old).values()) == {DeliveryState.DISCARDED}
    assert notes_in(places.folders["pacs"]) == []


def test_each_attempt_to_write_names_the_same_predecessor(post: Post, sources: Sequence[Path]) -> None:
    first = add_result(post, sources, "first")
    post.run()
    new = add_result(post, sources, "new", version="3.0", to=[])
    before = [item.sha256 for item in post.ledger.objects.of_job(new.key)]
    add_result(post, sources, "between", version="2.0", created_at=first.created_at + timedelta(seconds=1))
    post.run()
    write_result(post, sources, new.key)
    assert [item.sha256 for item in post.ledger.objects.of_job(new.key)] == before


def test_other_models_and_other_series_are_left_alone(post: Post, sources: Sequence[Path], tmp_path: Path) -> None:
    old = add_result(post, sources, "old", model="other")
    post.run()
    add_result(post, sources, "new", version="2.0")
    post.run()
    assert post.ledger.jobs.get(old.key).state is JobState.DONE
    assert post.ledger.withdrawals.notes(old.key) == ()
