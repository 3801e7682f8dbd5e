"""A note or a retraction that meets a result, a merged patient or a process on its way."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import FolderArchive
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.domain.review import ReviewState
from tests.data.faults import change
from tests.parts.archive.post import Post
from tests.parts.results import add_result, named, notes_in
from tests.parts.withdrawal import ORDER, TwoArchives, retract, uids

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_note_carries_the_identity_that_the_archive_names_now(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    add_result(post, sources, "one", to=["pacs"])
    post.run()
    change(
        list(places.folders["pacs"].rglob("*.dcm")),
        lambda dataset: dataset.update({"PatientID": "MERGED-1", "PatientName": "Lee^Ann"}),
    )
    retract(post, "one")
    post.run()
    (note,) = notes_in(places.folders["pacs"])
    assert (note.PatientID, str(note.PatientName)) == ("MERGED-1", "Lee^Ann")


def test_a_note_that_waited_while_its_patient_was_merged_is_written_anew(
    post: Post, sources: Sequence[Path], places: TwoArchives, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    retract(post, "one")
    with monkeypatch.context() as patched:
        patched.setattr(FolderArchive, "store", _broken)
        post.run()
    first = post.ledger.withdrawals.notes(job.key)[0].note_uid
    change([*places.folders["pacs"].rglob("*.dcm")], lambda dataset: dataset.update({"PatientID": "MERGED-1"}))
    post.run(HOUR, every=MINUTE)
    (note,) = notes_in(places.folders["pacs"])
    assert (note.PatientID, note.SOPInstanceUID == first) == ("MERGED-1", False)
    assert post.ledger.objects.known([first, note.SOPInstanceUID]) == {first, note.SOPInstanceUID}


def test_a_retry_sends_the_same_bytes(
    post: Post, sources: Sequence[Path], places: TwoArchives, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    def lose(_: FolderArchive, paths: Sequence[Path]) -> None:
        sent.append(paths[0].read_bytes())
        raise ArchiveUnavailable("the connection broke")

    add_result(post, sources, "one", to=["pacs"])
    post.run()
    retract(post, "one")
    with monkeypatch.context() as patched:
        patched.setattr(FolderArchive, "store", lose)
        post.run(timedelta(seconds=20))
    post.run(HOUR, every=MINUTE)
    (path,) = [path for path in places.folders["pacs"].rglob("2.25.*.dcm") if dcmread(path).Modality == "KO"]
    assert len(sent) > 1
    assert {*sent, path.read_bytes()} == {sent[0]}


def test_a_note_is_written_though_the_files_of_the_result_are_gone(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    shutil.rmtree(post.outbox / job.key)
    retract(post, "one")
    post.run()
    (note,) = notes_in(places.folders["pacs"])
    image = dcmread(sources[0])
    for keyword in ("PatientID", "AccessionNumber", "StudyDate", "StudyTime", "StudyDescription"):
        assert note[keyword].value == image[keyword].value
    assert named(note) == uids(post, job)


def test_a_note_that_nobody_can_address_is_parked_and_says_why(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    places.settings["pacs"] = {"ask": False, "confirm": "none"}
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    shutil.rmtree(post.outbox / job.key)
    retract(post, "one")
    post.run()
    (row,) = post.ledger.withdrawals.notes(job.key)
    assert row.state is DeliveryState.PARKED
    assert "files are gone" in row.error
    assert post.ledger.jobs.get(job.key).state is JobState.DONE


def test_a_study_that_left_the_archive_lets_its_note_wait(
    post: Post, sources: Sequence[Path], places: TwoArchives, tmp_path: Path
) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    shutil.move(places.folders["pacs"], tmp_path / "elsewhere")
    places.folders["pacs"].mkdir()
    retract(post, "one")
    post.run()
    (row,) = post.ledger.withdrawals.notes(job.key)
    assert (row.state, row.error) == (DeliveryState.WAITING, f"pacs does not hold study {job.study_uid} now")


def test_a_note_waits_while_the_result_itself_is_under_way(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.ledger.deliveries.move(job.key, "pacs", DeliveryState.SENDING, attempts=1)
    retract(post, "one")
    post.run()
    (row,) = post.ledger.withdrawals.notes(job.key)
    assert (row.state, row.error) == (DeliveryState.WAITING, "the result itself is on its way to pacs")


def test_what_arrives_though_it_was_retracted_on_its_way_is_rejected(
    post: Post, sources: Sequence[Path], places: TwoArchives, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(archive: FolderArchive, paths: Sequence[Path]) -> None:
        monkeypatch.undo()
        retract(post, "one")
        archive.store(paths)

    monkeypatch.setattr(FolderArchive, "store", interrupted)
    job = add_result(post, sources, "one", to=["pacs"])
    post.run(HOUR, every=MINUTE)
    (note,) = notes_in(places.folders["pacs"])
    assert post.ledger.deliveries.get(job.key, "pacs").state is DeliveryState.CONFIRMED
    assert named(note) == uids(post, job)


def test_a_result_that_was_written_while_its_model_was_retracted_never_leaves(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    post.ledger.withdrawals.order(ORDER)
    job = add_result(post, sources, "late")
    post.run()
    assert {row.state for row in post.ledger.deliveries.of_job(job.key)} == {DeliveryState.DISCARDED}
    assert post.ledger.reviews.newest(job.key).state is ReviewState.RETRACTED  # type: ignore[union-attr]


def test_an_order_about_a_later_time_leaves_an_earlier_result_alone(
    post: Post, sources: Sequence[Path], places: TwoArchives
) -> None:
    job = add_result(post, sources, "early")
    post.ledger.withdrawals.order(replace(ORDER, since=post.now + HOUR))
    post.run()
    assert post.ledger.jobs.get(job.key).state is JobState.DONE


def test_a_killed_attempt_goes_on_where_it_was(post: Post, sources: Sequence[Path]) -> None:
    old = add_result(post, sources, "old", to=["pacs"])
    post.run()
    new = add_result(post, sources, "new", version="2.0", to=["pacs"])
    assert post.ledger.deliveries.claim(post.ledger.deliveries.get(new.key, "pacs"))
    post.ledger.deliveries.move(new.key, "pacs", DeliveryState.CONFIRMED, ends_attempt=False)  # killed right after this
    post.delivery.recover("pacs", after_crash=True)
    assert post.ledger.jobs.get(new.key).state is JobState.DONE
    assert post.ledger.jobs.get(old.key).state is JobState.SUPERSEDED


def _broken(_archive: FolderArchive, _paths: Sequence[Path]) -> None:
    raise ArchiveUnavailable("the connection broke")
