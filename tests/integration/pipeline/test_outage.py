"""Real results on their way to real archives: one that is down for hours, and two that take different forms."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from orchestrator.archive import FolderArchive, connect
from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.dicom.seg.segmentation import LABEL_MAP_STORAGE
from orchestrator.domain.job import JobState, Priority
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.faults import change
from tests.data.records import key_of
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import dcmqrscp, free_port, storescu
from tests.parts.archive.post import Post, finish

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
USUAL = WriteOptions()
OTHER = WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(ledger, tmp_path / "outbox", dict)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=4, rows=32, columns=32)


def confirmed(post: Post) -> list[str]:
    """Return the keys of the jobs in the order in which their results were confirmed."""
    return [event.subject for event in post.ledger.events.after(limit=10_000) if event.kind == "delivery.confirmed"]


def test_an_archive_that_is_down_for_hours_gets_everything_in_order_when_it_is_back(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    port = free_port()
    archive = connect(f"dimse://ARCHIVE@127.0.0.1:{port}", name="pacs", timeout_seconds=10)
    post.destinations = lambda: {"pacs": Destination("pacs", archive)}
    with dcmqrscp(tmp_path / "archive", port=port) as peer:
        assert storescu(port, sources, called=peer.ae_title).returncode == 0
        finish(post, sources, "before")
        post.run()
    for name in ("first", "second", "third", "fourth"):
        finish(post, sources, name)
    finish(post, sources, "stat", Priority.STAT)
    post.run(5 * HOUR, every=MINUTE)
    assert confirmed(post) == [key_of("before")]
    assert [each.name for each in post.ledger.destinations.unreachable()] == ["pacs"]
    with dcmqrscp(tmp_path / "archive", port=port) as peer:
        post.run(10 * MINUTE, every=MINUTE)
        held = [dcmread(path, force=True).get("Modality") for path in peer.folder.iterdir() if path.suffix == ".dcm"]
    names = ["before", "stat", "first", "second", "third", "fourth"]
    assert sorted(confirmed(post)) == sorted(map(key_of, names))
    drained = [key for key in confirmed(post)[1:] if key != confirmed(post)[1]]  # the first of them was the trial
    assert drained == [key_of(name) for name in names if key_of(name) in drained]
    assert not post.ledger.destinations.unreachable()
    assert {job.state for job in post.ledger.jobs.search()} == {JobState.DONE}
    assert held.count("SEG") == held.count("SR") == len(names)


def test_each_destination_gets_its_form_anew_for_a_patient_who_was_merged(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    folders = {"pacs": tmp_path / "pacs", "vna": tmp_path / "vna"}
    for folder in folders.values():
        shutil.copytree(sources[0].parent, folder)
        change(sorted(folder.iterdir()), lambda dataset: dataset.update({"PatientID": "MERGED-1"}))
    forms = {"pacs": USUAL, "vna": OTHER}
    post.destinations = lambda: {
        name: Destination(name, FolderArchive(name, folder), options=forms[name]) for name, folder in folders.items()
    }
    finish(post, sources, "merged", Priority.ROUTINE, USUAL, OTHER)
    post.run(MINUTE)
    assert post.ledger.jobs.get(key_of("merged")).state is JobState.DONE
    there = {
        name: [item for path in folder.rglob("2.25.*.dcm") if (item := dcmread(path)).Modality in {"SEG", "SR"}]
        for name, folder in folders.items()
    }
    assert {item.PatientID for items in there.values() for item in items} == {"MERGED-1"}
    assert {item.SOPClassUID for item in there["pacs"]} == {SegmentationStorage, Comprehensive3DSRStorage}
    assert {item.SOPClassUID for item in there["vna"]} == {LABEL_MAP_STORAGE, ComprehensiveSRStorage}
    assert {item.file_meta.TransferSyntaxUID for item in there["vna"]} == {ImplicitVRLittleEndian}
    shown = {item.sop_uid for item in post.ledger.objects.of_job(key_of("merged"))}
    assert shown == {item.SOPInstanceUID for item in there["pacs"]}
