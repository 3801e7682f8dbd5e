"""A folder is the archive: watched, and the place for the results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.app.service.engine.folder_watch import LOOK_SECONDS
from orchestrator.domain.job import JobState
from tests.data.faults import change, ct
from tests.data.series import cr_image
from tests.e2e.service.archives import configured, ends, events, job_of, jobs_command, series, uid_of, written_below
from tests.parts.archive.dcmtk import storescu
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)


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
