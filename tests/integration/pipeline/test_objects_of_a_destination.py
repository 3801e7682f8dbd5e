"""Each archive gets those objects of a result that its settings name; what it refuses leads to a word about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import evt

from orchestrator.archive import FolderArchive
from orchestrator.dicom import Grid, WriteOptions, identity_of, read_instance, summarize
from orchestrator.dicom.objects.write_options import WORDS, distinct
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.records import DeliveryState, ObjectKind
from orchestrator.domain.result import Result
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.records import key_of
from tests.data.series import ct_series
from tests.parts.archive.dicom_peer import connected, peer_that
from tests.parts.archive.post import Post, finish
from tests.parts.dicom.written import everything, nothing

MINUTE = timedelta(minutes=1)
KEY = key_of("one")


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(ledger, tmp_path / "outbox", dict)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=4, rows=32, columns=32)


def objects(*words: str) -> WriteOptions:
    return WriteOptions(objects=frozenset(WORDS[word] for word in words))


def deliver(
    post: Post,
    sources: Sequence[Path],
    folder: Path,
    options: dict[str, WriteOptions],
    result_of: Callable[[Grid], Result] = everything,
) -> dict[str, list[Dataset]]:
    """Return what folders of these names hold after a result was delivered to them."""
    post.destinations = lambda: {
        name: Destination(name, FolderArchive(name, folder / name), ask=False, options=each)
        for name, each in options.items()
    }
    for name in options:
        (folder / name).mkdir()
    finish(post, sources, "one", Priority.ROUTINE, *distinct(options.values()), result_of=result_of)
    post.run(MINUTE)
    assert post.ledger.jobs.get(KEY).state is JobState.DONE
    return {name: [dcmread(path) for path in sorted((folder / name).rglob("*.dcm"))] for name in options}


def test_each_archive_gets_its_kinds_of_objects_and_one_object_has_one_uid_everywhere(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    options = {"pacs": WriteOptions(), "portal": objects("key-image"), "old": objects("sr", "presentation")}
    there = deliver(post, sources, tmp_path, options)
    assert {item.Modality for item in there["pacs"]} == {"SEG", "SR"}
    assert {item.SOPClassUID for item in there["portal"]} == {SecondaryCaptureImageStorage}
    assert {item.Modality for item in there["old"]} == {"SR", "PR"}
    reports = {item.SOPInstanceUID for held in there.values() for item in held if item.Modality == "SR"}
    assert len(reports) == 1


def test_an_archive_of_key_images_gets_one_of_a_negative_result_and_the_ledger_has_the_report(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    there = deliver(post, sources, tmp_path, {"portal": objects("key-image")}, nothing)
    assert [item.SOPClassUID for item in there["portal"]] == [SecondaryCaptureImageStorage]
    assert ObjectKind.SR in {item.kind for item in post.ledger.objects.of_job(KEY)}


def test_the_ledger_knows_the_findings_of_a_result_that_went_out_as_key_images_only(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    deliver(post, sources, tmp_path, {"portal": objects("key-image")})
    assert "Neoplasm" in {each["name"] for each in summarize(post.ledger.objects.of_job(KEY)).findings}


@pytest.mark.parametrize(
    ("takes", "setting"),
    [
        ([SecondaryCaptureImageStorage, "1.2.840.10008.5.1.4.1.1.88.34"], 'write objects = ["sr", "key-image"]'),
        (["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"], 'write sr = "comprehensive"'),
    ],
    ids=["no segmentation", "no Comprehensive 3D SR"],
)
def test_what_an_archive_refuses_parks_the_result_with_the_setting_to_change(
    post: Post, sources: Sequence[Path], takes: list[str], setting: str
) -> None:
    options = objects("seg", "sr")
    with peer_that({evt.EVT_C_STORE: lambda _: 0x0000}, CTImageStorage, *takes) as url:
        archive = connected(url)
        post.destinations = lambda: {"pacs": Destination("pacs", archive, ask=False, confirm="none", options=options)}
        finish(post, sources, "one")
        post.run(MINUTE)
    (row,) = post.ledger.deliveries.of_job(KEY)
    assert row.state is DeliveryState.PARKED
    assert f"for pacs {setting}, then retry" in row.error
    assert setting in post.ledger.jobs.get(KEY).reason


def test_a_result_that_was_written_without_what_an_archive_gets_now_says_so(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    archive = FolderArchive("pacs", tmp_path)
    post.destinations = lambda: {"pacs": Destination("pacs", archive, ask=False, options=objects("key-image"))}
    finish(post, sources, "one", Priority.ROUTINE, WriteOptions())
    post.run(MINUTE)
    assert "was written before pacs was to get" in post.ledger.deliveries.of_job(KEY)[0].error


def test_key_images_go_to_the_patient_that_the_archive_names_now(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "pacs"
    for path in sources:
        image = dcmread(path)
        image.PatientID = "MERGED-1"
        (folder / path.name).parent.mkdir(exist_ok=True)
        image.save_as(folder / path.name)
    options = objects("sr", "key-image", "key-object", "presentation")
    post.destinations = lambda: {"pacs": Destination("pacs", FolderArchive("pacs", folder), options=options)}
    finish(post, sources, "one", Priority.ROUTINE, options, result_of=everything)
    post.run(MINUTE)
    arrived = [path for path in folder.rglob("2.25.*.dcm") if path.name not in {each.name for each in sources}]
    assert {dcmread(path).Modality for path in arrived} == {"SR", "OT", "KO", "PR"}
    assert {identity_of(path).patient_id for path in arrived} == {"MERGED-1"}
    assert {read_instance(path).study_uid for path in arrived} == {read_instance(sources[0]).study_uid}


def hold(folder: Path, images: Sequence[Path]) -> FolderArchive:
    """Return a folder that holds these images."""
    folder.mkdir()
    for path in images:
        shutil.copy(path, folder)
    return FolderArchive("share", folder)


@pytest.mark.parametrize(("held", "state"), [(0, JobState.DONE), (1, JobState.DELIVERING), (4, JobState.DONE)])
def test_a_folder_of_results_needs_no_sources_and_one_of_images_needs_all(
    post: Post, sources: Sequence[Path], tmp_path: Path, held: int, state: JobState
) -> None:
    archive = hold(tmp_path / "share", sources[:held])
    post.destinations = lambda: {"share": Destination("share", archive, needs_sources=False)}
    finish(post, sources, "one", Priority.ROUTINE, WriteOptions(), result_of=everything)
    post.run(MINUTE)
    assert post.ledger.jobs.get(KEY).state is state
    (row,) = post.ledger.deliveries.of_job(KEY)
    assert row.error == ("" if state is JobState.DONE else "share lacks 3 of 4 source images")
