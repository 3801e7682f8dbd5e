"""What becomes of a delivered result that a newer one replaces or that is retracted: notes at each destination.

Archives are folders; ledger, flow and objects are real, the clock is set.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import FolderArchive
from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.domain.hours import Hours
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, JobRecord, ObjectKind, RetractionRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.faults import change
from tests.data.records import key_of
from tests.data.series import ct_series
from tests.parts.archive.post import Post
from tests.parts.dicom.written import nothing
from tests.parts.results import add_result, named, notes_in, title, write_result

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OTHER = WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)
ORDER = RetractionRecord(
    model="finder", model_version="1.0", reason="it swaps sides", by="Ada", organization="Radiology", at=Post.now
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=4, rows=32, columns=32)


class Places:
    """Two archives in folders, of which each can be away."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.folders = {name: folder / name for name in ("pacs", "vna")}
        for each in self.folders.values():
            shutil.copytree(sources[0].parent, each)
        self.away: set[str] = set()
        self.settings: dict[str, dict[str, object]] = {"pacs": {}, "vna": {}}

    def __call__(self) -> dict[str, Destination]:
        return {name: self._destination(name) for name in self.folders}

    def _destination(self, name: str) -> Destination:
        folder = self.folders[name] if name not in self.away else self.folders[name].with_name(f"no {name}")
        return Destination(name, FolderArchive(name, folder), **self.settings[name])  # type: ignore[arg-type]


@pytest.fixture
def places(tmp_path: Path, sources: Sequence[Path]) -> Places:
    return Places(tmp_path, sources)


@pytest.fixture
def post(tmp_path: Path, places: Places) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(ledger, tmp_path / "outbox", places)


def retract(post: Post, *names: str) -> None:
    post.ledger.withdrawals.order(ORDER)
    for name in names:
        post.ledger.withdrawals.retract(ORDER.verdict_on(key_of(name)))


def uids(post: Post, job: JobRecord, *kinds: ObjectKind) -> set[str]:
    return {item.sop_uid for item in post.ledger.objects.of_job(job.key) if not kinds or item.kind in kinds}


def states(post: Post, job: JobRecord) -> dict[str, DeliveryState]:
    return {row.destination: row.state for row in post.ledger.withdrawals.notes(job.key)}


# --- superseded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newer", [{"revision": 2}, {"version": "2.0"}], ids=["revision", "version"])
def test_a_newer_result_names_the_earlier_report_and_rejects_what_else_arrived(
    post: Post, sources: Sequence[Path], places: Places, newer: dict[str, object]
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
    post: Post, sources: Sequence[Path], places: Places
) -> None:
    old = add_result(post, sources, "old", to=["pacs"])
    add_result(post, sources, "new", version="2.0", to=["pacs"])  # written before the old one has arrived anywhere
    post.run()
    (note,) = notes_in(places.folders["pacs"])
    assert named(note) == uids(post, old)


@pytest.mark.parametrize("was_tried", [True, False], ids=["tried", "never tried"])
def test_an_older_result_that_never_arrived_is_discarded_and_no_note_is_sent(
    post: Post, sources: Sequence[Path], places: Places, was_tried: bool
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
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places
) -> None:
    old = add_result(post, sources, "old")
    post.run()
    add_result(post, sources, "new", version="2.0", to=["pacs"])
    post.run()
    assert states(post, old) == {"pacs": DeliveryState.CONFIRMED, "vna": DeliveryState.CONFIRMED}
    (note,) = notes_in(places.folders["vna"])
    assert named(note) == uids(post, old)


def test_each_form_is_followed_and_rejected_where_it_went(post: Post, sources: Sequence[Path], places: Places) -> None:
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
    post: Post, sources: Sequence[Path], places: Places
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


# --- retracted ---------------------------------------------------------------------------------------------


def test_a_retracted_result_is_rejected_whole_with_title_reason_and_person(
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places, monkeypatch: pytest.MonkeyPatch
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
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places
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


def test_only_a_note_of_a_retraction_waits_for_no_hours(post: Post, sources: Sequence[Path], places: Places) -> None:
    retracted = add_result(post, sources, "retracted", to=["pacs"])
    superseded = add_result(post, sources, "superseded", model="other", to=["pacs"])
    post.run()
    places.settings["pacs"] = {"hours": Hours.parse("01:00-02:00 UTC")}
    add_result(post, sources, "newer", model="other", version="2.0", to=["pacs"], urgency=Urgency.URGENT)
    retract(post, "retracted")
    post.run()
    assert states(post, retracted) == {"pacs": DeliveryState.CONFIRMED}
    assert states(post, superseded) == {"pacs": DeliveryState.WAITING}


# --- on the way --------------------------------------------------------------------------------------------


def test_a_note_carries_the_identity_that_the_archive_names_now(
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places, monkeypatch: pytest.MonkeyPatch
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
    post: Post, sources: Sequence[Path], places: Places, monkeypatch: pytest.MonkeyPatch
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
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places
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
    post: Post, sources: Sequence[Path], places: Places, tmp_path: Path
) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.run()
    shutil.move(places.folders["pacs"], tmp_path / "elsewhere")
    places.folders["pacs"].mkdir()
    retract(post, "one")
    post.run()
    (row,) = post.ledger.withdrawals.notes(job.key)
    assert (row.state, row.error) == (DeliveryState.WAITING, f"pacs does not hold study {job.study_uid} now")


def test_a_note_waits_while_the_result_itself_is_under_way(post: Post, sources: Sequence[Path], places: Places) -> None:
    job = add_result(post, sources, "one", to=["pacs"])
    post.ledger.deliveries.move(job.key, "pacs", DeliveryState.SENDING, attempts=1)
    retract(post, "one")
    post.run()
    (row,) = post.ledger.withdrawals.notes(job.key)
    assert (row.state, row.error) == (DeliveryState.WAITING, "the result itself is on its way to pacs")


def test_what_arrives_though_it_was_retracted_on_its_way_is_rejected(
    post: Post, sources: Sequence[Path], places: Places, monkeypatch: pytest.MonkeyPatch
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
    post: Post, sources: Sequence[Path], places: Places
) -> None:
    post.ledger.withdrawals.order(ORDER)
    job = add_result(post, sources, "late")
    post.run()
    assert {row.state for row in post.ledger.deliveries.of_job(job.key)} == {DeliveryState.DISCARDED}
    assert post.ledger.reviews.newest(job.key).state is ReviewState.RETRACTED  # type: ignore[union-attr]


def test_an_order_about_a_later_time_leaves_an_earlier_result_alone(
    post: Post, sources: Sequence[Path], places: Places
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
