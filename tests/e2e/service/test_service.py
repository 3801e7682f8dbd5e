"""A modality pushes, the service works, a real archive holds the result: with DCMTK on both ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.domain.job import JobState
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import Peer, dcmqrscp, findscu, free_port, storescu
from tests.parts.service import Service, destination, service, wait_for


def results_in(archive: Peer) -> list[Path]:
    """Return the files of SEG and SR that the archive holds."""
    files = [path for path in archive.folder.iterdir() if path.name != "index.dat"]
    return [path for path in files if dcmread(path, stop_before_pixels=True).Modality in {"SEG", "SR"}]


def send(files: list[Path], archive: Peer, host: Service) -> None:
    """Send a series to the archive and to the host, as a modality does."""
    assert storescu(archive.port, files, called=archive.ae_title).returncode == 0
    assert storescu(host.port, files, calling="CT1").returncode == 0


@pytest.fixture
def archive(tmp_path: Path):
    with dcmqrscp(tmp_path / "archive") as peer:
        yield peer


@pytest.fixture
def host(tmp_path: Path, archive: Peer):
    with service(tmp_path / "host", rest=destination(archive.url)) as made:
        yield made


def test_a_pushed_series_comes_back_as_seg_and_sr_in_the_archive(tmp_path: Path, archive: Peer, host: Service) -> None:
    host.start()
    host.ready()
    files = ct_series(tmp_path / "ct")
    send(files, archive, host)
    job = host.job_ends()[0]
    written = [dcmread(path) for path in results_in(archive)]
    source = dcmread(files[0])
    assert sorted(item.Modality for item in written) == ["SEG", "SR"]
    assert {(item.StudyInstanceUID, item.PatientID) for item in written} == {
        (source.StudyInstanceUID, source.PatientID)
    }
    assert job.model == "bone-volume"
    answer = findscu(
        archive.port, "QueryRetrieveLevel=SERIES", f"StudyInstanceUID={source.StudyInstanceUID}", "Modality"
    )
    assert answer.stderr.count("SEG") + answer.stdout.count("SEG") >= 1


def test_the_same_series_again_gives_no_second_result(tmp_path: Path, archive: Peer, host: Service) -> None:
    host.start()
    host.ready()
    files = ct_series(tmp_path / "ct")
    send(files, archive, host)
    host.job_ends()
    before = {path.name for path in results_in(archive)}
    assert storescu(host.port, files, calling="CT1").returncode == 0
    wait_for(lambda: len(host.log) > 0, "the log is there")
    ledger = host.ledger()
    wait_for(lambda: ledger.series.find(dcmread(files[0]).SeriesInstanceUID) is not None, "the series is known")
    ledger.close()
    assert len(host.jobs()) == 1
    assert {path.name for path in results_in(archive)} == before


def test_a_late_image_makes_a_new_revision_and_supersedes_the_older_result(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    files = sorted(ct_series(tmp_path / "ct"))
    send(files[:-1], archive, host)
    first = host.job_ends()[0]
    send(files[-1:], archive, host)
    wait_for(lambda: len(host.jobs()) == 2, "the late image makes a second job")
    wait_for(lambda: {job.state for job in host.jobs()} == {JobState.DONE, JobState.SUPERSEDED}, "both jobs ended")
    states = {job.revision: job.state for job in host.jobs()}
    assert states == {1: JobState.SUPERSEDED, 2: JobState.DONE}
    assert first.revision == 1


def test_what_the_host_wrote_triggers_nothing_when_the_archive_forwards_it_back(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    host.job_ends()
    ours = results_in(archive)
    assert storescu(host.port, ours, "-R", calling=archive.ae_title).returncode == 0
    ledger = host.ledger()
    series = {dcmread(path, stop_before_pixels=True).SeriesInstanceUID for path in ours}
    seen = wait_for(
        lambda: [record for uid in series if (record := ledger.series.find(uid)) and record.released_at] or None,
        "the forwarded objects are seen",
    )
    ledger.close()
    assert not any(record.matched for record in seen)
    assert len(host.jobs()) == 1


def test_an_archive_that_is_down_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    with service(tmp_path / "host", rest=destination(f"dimse://ARCHIVE@127.0.0.1:{port}")) as host:
        host.start()
        host.ready()
        files = ct_series(tmp_path / "ct")
        assert storescu(host.port, files, calling="CT1").returncode == 0
        ledger = host.ledger()
        job = wait_for(lambda: next(iter(host.jobs()), None), "the job is there")
        waiting = wait_for(
            lambda: next((row for row in ledger.deliveries.of_job(job.key) if row.attempts >= 2), None),
            "two attempts failed",
        )
        assert waiting.error
        assert host.jobs()[0].state is JobState.DELIVERING
        with dcmqrscp(tmp_path / "archive", port=port) as archive:
            assert storescu(archive.port, files, called=archive.ae_title).returncode == 0
            host.job_ends()
            assert len(results_in(archive)) == 2
        ledger.close()
