"""Folders and archives that misbehave: nothing is lost or stuck, nothing goes to the wrong patient, a retry works."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

from orchestrator.dicom.seg.segmentation import LABEL_MAP_STORAGE
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from tests.data.faults import change, ct
from tests.data.series import ct_series
from tests.e2e.service.archives import arrived, configured, delivered, ends, events, job_of, jobs_command, written_below
from tests.e2e.service.test_service import results_in
from tests.parts.archive.dcmtk import dcmqrscp, free_port, storescu
from tests.parts.service import destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)


# --- the archive holds the study for another patient, or not at all ----------------------------------------


def rename(paths: list[Path]) -> None:
    """Merge the patient, as an archive does: another ID and name, the same UIDs."""
    change(paths, lambda dataset: dataset.update({"PatientID": "MERGED-1", "PatientName": "Merged^Patient"}))


def test_a_patient_merged_in_the_archive_gets_the_result_anew_and_the_old_never_left(tmp_path: Path) -> None:
    with (
        dcmqrscp(tmp_path / "archive") as archive,
        service(tmp_path / "host", rest=configured(tmp_path, destination(archive.url))) as host,
    ):
        host.start()
        host.ready()
        paths = ct(tmp_path / "merged")
        assert storescu(host.port, paths, calling="CT1").returncode == 0
        job = ends(host, "merged", JobState.DELIVERING)
        delivered(host, job, "pacs", lambda row: "does not hold study" in row.error)
        with closing(host.ledger()) as ledger:
            old = {item.sop_uid for item in ledger.objects.of_job(job.key)}
        rename(paths)
        assert storescu(archive.port, paths, called=archive.ae_title).returncode == 0
        ends(host, "merged", JobState.DONE)
        found = [dcmread(path) for path in results_in(archive)]
        assert sorted(item.Modality for item in found) == ["SEG", "SR"]
        assert {(item.PatientID, str(item.PatientName)) for item in found} == {("MERGED-1", "Merged^Patient")}
        assert not {item.SOPInstanceUID for item in found} & old
        assert events(host, "identity-changed") == [
            "pacs holds the study with another PatientID, PatientName; the objects were rewritten"
        ]


def test_a_result_delivered_elsewhere_is_parked_where_the_patient_is_another(tmp_path: Path) -> None:
    port, copy = free_port(), tmp_path / "copy"
    copy.mkdir()
    rest = configured(
        tmp_path,
        destination(f"dimse://ARCHIVE@127.0.0.1:{port}"),
        destination(copy.as_uri(), "copy", ask=False, confirm="none"),
    )
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        paths = ct(tmp_path / "elsewhere")
        assert storescu(host.port, paths, calling="CT1").returncode == 0
        job = ends(host, "elsewhere", JobState.DELIVERING)
        delivered(host, job, "copy", arrived)
        rename(paths)
        with dcmqrscp(tmp_path / "archive", port=port) as archive:
            assert storescu(archive.port, paths, called=archive.ae_title).returncode == 0
            parked = ends(host, "elsewhere", JobState.PARKED)
            assert not results_in(archive)
    assert "another PatientID, PatientName" in parked.reason
    assert "already delivered elsewhere" in parked.reason
    assert {str(item.PatientID) for item in written_below(copy)} == {"PHANTOM-1"}


# --- a destination refuses, a person cancels ---------------------------------------------------------------


def test_a_refused_result_is_parked_holds_up_no_other_destination_and_goes_by_retry(tmp_path: Path) -> None:
    port, copy = free_port(), tmp_path / "copy"
    copy.mkdir()
    rest = configured(
        tmp_path,
        destination(f"dimse://PACS@127.0.0.1:{port}"),
        destination(copy.as_uri(), "copy", ask=False, confirm="none", seg="labelmap", sr="comprehensive"),
    )
    paths = ct(tmp_path / "refused")
    with service(tmp_path / "host", rest=rest) as host:
        with dcmqrscp(tmp_path / "other", ae_title="OTHER", port=port):
            host.start()
            host.ready()
            assert storescu(host.port, paths, calling="CT1").returncode == 0
            parked = ends(host, "refused", JobState.PARKED)
            assert parked.reason.startswith("pacs: archive 'pacs' (PACS at 127.0.0.1:")
            assert "rejects ORCHESTRATOR" in parked.reason
            delivered(host, parked, "copy", arrived)
        with dcmqrscp(tmp_path / "pacs", ae_title="PACS", port=port) as pacs:
            assert storescu(pacs.port, paths, called="PACS").returncode == 0
            jobs_command(host, "retry", parked)
            ends(host, "refused", JobState.DONE)
            classes = [{item.SOPClassUID for item in map(dcmread, results_in(pacs))}]
            classes.append({item.SOPClassUID for item in written_below(copy)})
            assert classes == [
                {SegmentationStorage, Comprehensive3DSRStorage},
                {LABEL_MAP_STORAGE, ComprehensiveSRStorage},
            ]
            shown = run_command("jobs", "show", parked.key[:12], "--json", "--settings", host.settings).stdout
            assert sorted(each["kind"] for each in json.loads(shown)["objects"]) == ["SEG", "SR"]


def test_a_destination_that_left_the_settings_is_let_go_by_retry(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    gone = destination(old.as_uri(), "old", ask=False, confirm="none")  # its folder is not mounted
    with service(tmp_path / "host", rest=configured(tmp_path, gone)) as host:
        host.start()
        host.ready()
        assert storescu(host.port, ct(tmp_path / "moved"), calling="CT1").returncode == 0
        job = ends(host, "moved", JobState.DELIVERING)
        delivered(host, job, "old", lambda row: "does not exist" in row.error)
        host.stop()
        host.rest = configured(tmp_path, destination(new.as_uri(), "new", ask=False, confirm="none"))
        host.start()
        parked = ends(host, "moved", JobState.PARKED)
        assert parked.reason == "old: destination 'old' is not in the settings any more"
        jobs_command(host, "retry", parked)
        ends(host, "moved", JobState.DONE)
        delivered(host, parked, "old", lambda row: row.state is DeliveryState.DISCARDED)
    assert len(written_below(new)) == 2


def test_a_cancelled_job_leaves_the_worklist_and_is_delivered_once_when_retried(tmp_path: Path) -> None:
    port = free_port()
    rest = configured(tmp_path, destination(f"dimse://ARCHIVE@127.0.0.1:{port}"))
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        paths = ct(tmp_path / "cancelled")
        assert storescu(host.port, paths, calling="CT1").returncode == 0
        job = ends(host, "cancelled", JobState.DELIVERING)
        delivered(host, job, "pacs", lambda row: row.attempts)
        jobs_command(host, "cancel", job)
        cancelled = ends(host, "cancelled", JobState.FAILED)
        with closing(host.ledger()) as ledger:
            assert ledger.results.search() == ()
        delivered(host, job, "pacs", lambda row: row.state is DeliveryState.DISCARDED)
        with dcmqrscp(tmp_path / "archive", port=port) as archive:
            assert storescu(archive.port, paths, called=archive.ae_title).returncode == 0
            jobs_command(host, "retry", job)
            wait_for(lambda: job_of(host, "cancelled").state is JobState.DONE, "it is done after all")
            assert len(results_in(archive)) == 2
    assert cancelled.reason == "cancelled by Ada"


# --- a disk is full ----------------------------------------------------------------------------------------


def test_a_sender_is_told_when_the_disk_is_too_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_RECEIVER__MINIMUM_FREE_MB", str(1 << 40))
    paths = ct(tmp_path / "too much")
    with service(tmp_path / "host", rest=configured(tmp_path)) as host:
        host.start("receiver")
        refused = wait_for(
            lambda: (
                (sent := storescu(host.port, paths, "-v", calling="CT1"))
                and "Store Response" in sent.stdout + sent.stderr
                and sent
            ),
            "the receiver answers",
        )
    assert refused.returncode != 0
    assert "RefusedOutOfResources" in (refused.stdout + refused.stderr).replace(" ", "").replace(":", "")
    assert not list((tmp_path / "host" / "data" / "spool").rglob("*.dcm"))


@contextmanager
def files_of_at_most(size: int, pids: list[int]) -> Iterator[None]:
    """Let these processes write no longer files, as on a disk that is almost full."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    yield
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_a_volume_without_room_fails_by_name_and_goes_by_retry(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    rest = configured(tmp_path, destination(copy.as_uri(), "copy", ask=False, confirm="none"))
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        (tmp_path / "host" / "data" / "outbox").write_text("no folder: results cannot be written")
        with files_of_at_most(4 << 20, host.pids("engine")):
            paths = ct_series(tmp_path / "large", slices=80, rows=256, columns=256, seed="large")  # 10 MiB of voxels
            assert storescu(host.port, paths, calling="CT1").returncode == 0
            first = ends(host, "large", JobState.FAILED)
        assert "no space for a volume of 10 MiB" in first.reason
        jobs_command(host, "retry", first)
        wait_for(lambda: job_of(host, "large").reason.startswith("the disk did not take"), "the outbox is missed")
        assert job_of(host, "large").state is JobState.FAILED
        (tmp_path / "host" / "data" / "outbox").unlink()
        jobs_command(host, "retry", first)
        wait_for(lambda: job_of(host, "large").state is JobState.DONE, "it is done after all")
    assert len(written_below(copy)) == 2
