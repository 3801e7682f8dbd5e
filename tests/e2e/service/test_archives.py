"""Folders and archives that misbehave: nothing is lost or stuck, nothing goes to the wrong patient, a retry works."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

from orchestrator.app.service.engine.folder_watch import LOOK_SECONDS
from orchestrator.dicom.seg.segmentation import LABEL_MAP_STORAGE
from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.records import ARRIVED, DeliveryRecord, DeliveryState, JobRecord, SeriesRecord
from orchestrator.testing import Phantom
from tests.data.faults import change, ct
from tests.data.models import rule, write_model
from tests.data.series import cr_image, ct_series
from tests.e2e.service.test_service import results_in
from tests.parts.archive.dcmtk import dcmqrscp, free_port, storescu
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)

RULES = (
    rule("bones", "bone-volume", Modality="CT")
    + rule("pictures", "bright", Modality="CR")
    + '[[rule]]\nname = "hold phantoms"\nhold = true\n[rule.when]\nPatientID = "QA-*"\n'
)


def configured(folder: Path, *more: str) -> str:
    """Return settings with our rules and one model more, and these tables."""
    write_model(folder / "plugins", "bright", attributes="accepts = Accepts(geometry=Geometry.IMAGE)")
    (folder / "rules.toml").write_text(RULES)
    models, rules = folder / "plugins", folder / "rules.toml"
    return "\n".join([f'[models]\nplugins = ["{models}"]\n[rules]\nfile = "{rules}"\n', *more])


def uid_of(seed: str, kind: str = "CT") -> str:
    return Phantom(seed=seed).uid("series", kind)


def job_of(host: Service, seed: str, kind: str = "CT") -> JobRecord | None:
    """Return the newest job of the series that this seed made."""
    return next((job for job in host.jobs() if job.series_uid == uid_of(seed, kind)), None)


def ends(host: Service, seed: str, state: JobState, kind: str = "CT") -> JobRecord:
    """Return the series' job once it is in this state; another end fails the test."""

    def there() -> JobRecord | None:
        job = job_of(host, seed, kind)
        assert job is None or job.state is state or job.state not in ENDED, f"{job.state}: {job.reason}\n{host.log}"
        return job if job is not None and job.state is state else None

    return wait_for(there, f"the job of {seed} is {state}")


def delivered(host: Service, job: JobRecord, name: str, what: Callable[[DeliveryRecord], object]) -> DeliveryRecord:
    """Return the job's delivery to a destination once ``what`` is true of it."""

    def look() -> DeliveryRecord | None:
        with closing(host.ledger()) as ledger:
            return next(
                (row for row in ledger.deliveries.of_job(job.key) if row.destination == name and what(row)), None
            )

    return wait_for(look, f"the delivery to {name} is so")


def arrived(row: DeliveryRecord) -> bool:
    return row.state in ARRIVED


def series(host: Service, uid: str) -> SeriesRecord | None:
    with closing(host.ledger()) as ledger:
        return ledger.series.find(uid)


def events(host: Service, kind: str) -> list[str]:
    with closing(host.ledger()) as ledger:
        return [event.text for event in ledger.events.after(limit=10_000) if event.kind == kind]


def jobs_command(host: Service, verb: str, job: JobRecord) -> None:
    ended = run_command("jobs", verb, job.key[:12], "--by", "Ada", "--settings", host.settings)
    assert ended.returncode == 0, ended.stderr


def written_below(folder: Path, modality: str = "") -> list[Dataset]:
    """Return the SEGs and SRs that lie in a folder."""
    found = [dcmread(path, force=True) for path in folder.rglob("*.dcm")]
    wanted = {modality} if modality else {"SEG", "SR"}
    return [item for item in found if item.get("Modality") in wanted]


# --- a folder is the archive: watched, and the place for the results ---------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A running service that watches the folder which it delivers to."""
    work = tmp_path_factory.mktemp("folder")
    archive = work / "archive"
    archive.mkdir()
    watched = f'[[archive]]\nname = "watched"\nurl = "{archive.as_uri()}"\nwatch = true\n'
    rest = configured(work, watched, destination(archive.as_uri()))
    with service(work / "host", rest=rest) as host:
        host.start()
        host.ready()
        yield host, archive


def test_a_series_in_the_folder_gets_its_result_beside_it(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    ct(archive / "beside")
    job = ends(host, "beside", JobState.DONE)
    folders = {path.parent.parent for path in archive.rglob("*.dcm") if job.study_uid in path.parts}
    assert folders == {archive / job.study_uid}
    written = [item for item in written_below(archive) if job.study_uid == item.StudyInstanceUID]
    assert sorted(item.Modality for item in written) == ["SEG", "SR"]


def test_what_was_written_into_the_watched_folder_triggers_nothing(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    ct(archive / "once")
    job = ends(host, "once", JobState.DONE)
    ours = {item.SeriesInstanceUID for item in written_below(archive) if job.study_uid == item.StudyInstanceUID}
    seen = wait_for(
        lambda: [record for uid in ours if (record := series(host, uid)) and record.released_at] or None,
        "what was written is seen",
    )
    assert not any(record.matched for record in seen)
    assert not {record.series_uid for record in seen} & {job.series_uid for job in host.jobs()}


def copied_slowly(content: bytes, path: Path, not_taken: Callable[[], bool]) -> bool:
    """Copy in pieces; return False where this machine stalled, so that half of the file lay at rest."""
    with path.open("wb") as copy:
        for start in range(0, len(content), len(content) // 12):
            copy.write(content[start : start + len(content) // 12])
            copy.flush()
            written_at = time.monotonic()
            time.sleep(0.25)
            untouched = not_taken()
            if time.monotonic() - written_at > LOOK_SECONDS / 2:
                return False
            assert untouched
    return True


def test_a_file_that_is_still_being_copied_is_not_taken(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    for attempt in range(20):
        seed = f"slow copy {attempt}"
        content = cr_image(archive.parent / "elsewhere", seed=seed).read_bytes()
        if copied_slowly(content, archive / f"slow-{attempt}.dcm", lambda seed=seed: job_of(host, seed, "CR") is None):
            break
    job = ends(host, seed, JobState.DONE, "CR")
    assert job.revision == 1
    assert len([job for job in host.jobs() if job.series_uid == uid_of(seed, "CR")]) == 1


def test_a_broken_file_in_the_folder_is_told_and_stops_nothing(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    broken = archive / "Doe^Jane.dcm"
    broken.write_bytes(bytes(128) + b"DICM" + b"\xff" * 400)
    ct(archive / "beside a broken file")
    ends(host, "beside a broken file", JobState.DONE)
    told = wait_for(lambda: events(host, "file-unreadable") or None, "the broken file is told")
    broken.unlink()
    assert not any("Doe" in text for text in told)
    assert "Doe" not in host.log


def test_a_held_series_runs_when_a_person_releases_it(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    paths = ct(archive.parent / "elsewhere" / "phantom")
    change(paths, lambda dataset: dataset.update({"PatientID": "QA-17"}))
    shutil.move(archive.parent / "elsewhere" / "phantom", archive / "phantom")
    job = ends(host, "phantom", JobState.HELD)
    assert job.reason == "held by rule 'hold phantoms'"
    jobs_command(host, "retry", job)
    ends(host, "phantom", JobState.DONE)


def test_images_that_are_gone_are_named_by_uid_and_the_job_goes_by_retry(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    place, aside = archive / "Doe^John", archive.parent / "aside"
    paths = ct(archive.parent / "gone")
    change(paths, lambda dataset: dataset.update({"PatientID": "QA-18"}))
    shutil.move(archive.parent / "gone", place)
    job = ends(host, "gone", JobState.HELD)
    shutil.move(place, aside)
    jobs_command(host, "retry", job)
    failed = ends(host, "gone", JobState.FAILED)
    assert failed.reason.startswith("UnreadableFile: the file of image 2.25.")
    assert failed.reason.endswith(" is gone")
    shutil.move(aside, place)
    jobs_command(host, "retry", job)
    wait_for(lambda: job_of(host, "gone").state is JobState.DONE, "it is done after all")


def test_two_series_mixed_in_one_association_are_two_series(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    first, second = ct(archive.parent / "mixed" / "left"), ct(archive.parent / "mixed" / "right")
    mixed = [path for pair in zip(first, second, strict=True) for path in pair]
    for path in mixed:  # the destination holds the sources before anything is delivered
        shutil.copy(path, archive / f"{path.parent.name}-{path.name}")
    assert storescu(host.port, mixed, calling="CT1").returncode == 0
    for seed in ("left", "right"):
        ends(host, seed, JobState.DONE)
        record = series(host, uid_of(seed))
        assert record is not None
        assert record.instance_count == 6


def test_a_sender_that_aborts_in_the_middle_loses_nothing(shared: tuple[Service, Path]) -> None:
    host, archive = shared
    paths = ct(archive.parent / "aborted")
    shutil.copytree(archive.parent / "aborted", archive / "aborted copy")
    storescu(host.port, paths[:3], "--abort", calling="CT1")
    assert storescu(host.port, paths[3:], calling="CT1").returncode == 0
    wait_for(
        lambda: (record := series(host, uid_of("aborted"))) and record.released_at and record.instance_count == 6,
        "all six images are one series",
    )
    ends(host, "aborted", JobState.DONE)


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
        delivered(host, job, "old", lambda row: "is not there" in row.error)
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
