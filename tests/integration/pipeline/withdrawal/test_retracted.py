"""A result that was retracted is rejected at each destination, whole, with title, reason and person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.archive import FolderArchive
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.domain.hours import Hours
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from tests.parts.archive.post import Post
from tests.parts.results import add_result, named, notes_in, title
from tests.parts.withdrawal import TwoArchives, retract, states, uids

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_retracted_result_is_rejected_whole_with_title_reason_and_person(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    job = add_result(post, sources, "one")
    post.run()
    retract(post, "one")
    post.run()
    for folder in places.folders.values():
        (note,) = notes_in(folder)
        said = {str(item.get("TextValue") or item.get("PersonName") or "") for item in note.ContentSequence}
        assert (title(note), named(note)) == ("113037", uids(post, job))
        assert {"The model was retracted: it swaps sides", "Ada^"} <= said
    assert post.ledger.reviews.newest(job.key).state is ReviewState.RETRACTED  # type: ignore[union-attr]


def test_what_has_not_left_is_never_sent_and_no_note_names_it(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    places.away = {"vna"}
    job = add_result(post, sources, "one")
    post.run()
    retract(post, "one")
    places.away = set()
    post.run(HOUR, every=MINUTE)
    assert post.ledger.deliveries.get(job.key, "vna").state is DeliveryState.DISCARDED
    assert states(post, job) == {"pacs": DeliveryState.CONFIRMED, "vna": DeliveryState.DISCARDED}
    assert not list(places.folders["vna"].rglob("2.25.*.dcm"))
    assert post.ledger.jobs.get(job.key).state is JobState.SUPERSEDED


def test_objects_of_an_attempt_that_broke_off_are_rejected_so_far_as_they_arrived(
    post: Post, sources: Sequence[Path], places: TwoArchives, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(archive: FolderArchive, paths: Sequence[Path]) -> None:
        store(archive, paths[:1])
        raise ArchiveUnavailable("the connection broke")

    store = FolderArchive.store
    monkeypatch.setattr(FolderArchive, "store", half)
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    monkeypatch.undo()
    retract(post, "one")
    post.run(HOUR, every=MINUTE)
    (note,) = notes_in(places.folders["pacs"])
    assert named(note) == {post.ledger.objects.of_job(job.key)[0].sop_uid}


def test_a_superseded_result_that_is_retracted_is_rejected_whole_too(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    add_result(post, sources, "new", version="2.0")
    post.run()
    retract(post, "old")
    post.run()
    superseded, retracted = notes_in(places.folders["pacs"])
    assert (title(superseded), title(retracted)) == ("113001", "113037")
    assert named(retracted) == uids(post, old)


def test_a_retracted_result_gets_no_second_note_when_a_newer_one_arrives(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    retract(post, "old")
    post.run()
    new = add_result(post, sources, "new", version="2.0")
    post.run()
    assert [title(note) for note in notes_in(places.folders["pacs"])] == ["113037"]
    assert post.ledger.jobs.get(new.key).predecessors == {}
    assert post.ledger.reviews.newest(old.key).state is ReviewState.RETRACTED  # type: ignore[union-attr]


def test_only_a_note_of_a_retraction_waits_for_no_hours(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    retracted = add_result(post, sources, "retracted", to=["pacs"])
    superseded = add_result(post, sources, "superseded", model="other", to=["pacs"])
    post.run()
    places.settings["pacs"] = {"hours": Hours.parse("01:00-02:00 UTC")}
    add_result(post, sources, "newer", model="other", version="2.0", to=["pacs"], urgency=Urgency.URGENT)
    retract(post, "retracted")
    post.run()
    assert states(post, retracted) == {"pacs": DeliveryState.CONFIRMED}
    assert states(post, superseded) == {"pacs": DeliveryState.WAITING}
