"""A watched Orthanc: series put into it come back as results in it, once, whatever is killed or away in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.domain.fetching import WATCHING, FetchState
from orchestrator.domain.job import JobState
from orchestrator.domain.records import SeriesState
from tests.data.series import ct_series, mr_series
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": 1}
    with orthanc(tmp_path / "orthanc", DicomAet="ORTHANC", DicomModalities={"ours": ours}, StableAge=60) as peer:
        yield peer


RULES = """
[[rule]]
name = "bones"
model = "bone-volume"

[rule.when]
Modality = "CT"
"""


@pytest.fixture
def by() -> str:
    """The way by which the archive is watched, delivered to and asked."""
    return "orthanc"


@pytest.fixture
def host(tmp_path: Path, archive: Orthanc, by: str) -> Iterator[Service]:
    (tmp_path / "rules.toml").write_text(RULES)
    dimse = f"dimse://ORTHANC@127.0.0.1:{archive.dicom_port}"
    url = {"orthanc": archive.url, "dicomweb": archive.dicomweb_url, "dimse": dimse}[by]
    rules = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n'
    watched = f'[[archive]]\nname = "orthanc"\nurl = "{url}"\nwatch = true\nlook_seconds = 0.2\nquiet_seconds = 60\n\n'
    with service(tmp_path / "host", rest=rules + watched + destination(url, "orthanc")) as made:
        yield made


def of_today(paths: list[Path]) -> list[Path]:
    """Return the files with the study date of today, and with the number of images that there are in all.

    An archive is asked by C-FIND for recent studies only. On a busy machine half a series looks settled for a
    while: models may start on it, but no result leaves before all announced images are here.
    """
    for path in paths:
        dataset = dcmread(path)
        dataset.ImagesInAcquisition, dataset.AcquisitionNumber = len(paths), 1
        dataset.StudyDate = f"{date.today():%Y%m%d}"
        dataset.save_as(path)
    return paths


def watching(host: Service) -> None:
    """Wait until the watch has begun: what is put into the archive from now on is new."""
    host.ready()
    with closing(host.ledger()) as ledger:
        wait_for(lambda: ledger.watches.get("orthanc").cursor, "the archive is looked at")


def modalities(archive: Orthanc) -> Counter[str]:
    """Return how many series of each modality the archive holds."""
    series = archive.ask("GET", "/series", params={"expand": ""}).json()
    return Counter(each["MainDicomTags"]["Modality"] for each in series)


def counts(host: Service) -> dict[FetchState, int]:
    with closing(host.ledger()) as ledger:
        return dict(ledger.fetches.count("orthanc", WATCHING))


@pytest.mark.parametrize("by", ["orthanc", "dicomweb", "dimse"])
def test_a_series_in_a_watched_archive_comes_back_as_a_result_once(
    tmp_path: Path, archive: Orthanc, host: Service
) -> None:
    host.start()
    watching(host)
    archive.put(of_today(ct_series(tmp_path / "ct", slices=10)))
    archive.put(of_today(mr_series(tmp_path / "mr", slices=2)))
    host.job_ends()
    wait_for(lambda: modalities(archive) == {"CT": 1, "MR": 1, "SEG": 1, "SR": 1}, "SEG and SR are in the archive")
    wait_for(lambda: counts(host)[FetchState.UNWANTED] == 3, "the watch has seen MR, SEG and SR")
    assert len({path.parent for path in (host.data / "spool").rglob("*.dcm")}) == 1
    assert [job.state for job in host.jobs() if job.state is not JobState.SUPERSEDED] == [JobState.DONE]
    assert modalities(archive) == {"CT": 1, "MR": 1, "SEG": 1, "SR": 1}


def test_nothing_is_lost_when_the_watcher_is_killed_and_the_archive_goes_away(
    tmp_path: Path, archive: Orthanc, host: Service
) -> None:
    host.start()
    watching(host)
    archive.put(of_today(ct_series(tmp_path / "first", slices=40, rows=128, columns=128, seed="first")))
    wait_for(lambda: any((host.data / "spool").rglob("*.dcm")), "the fetch has begun")
    host.kill("watcher")
    archive.stop()
    with closing(host.ledger()) as ledger:
        wait_for(lambda: ledger.watches.get("orthanc").waits_since, "the watcher is back and misses the archive")
        archive.start()
        archive.put(of_today(ct_series(tmp_path / "second", slices=10, seed="second")))
        host.job_ends(count=2)
        kinds = [event.kind for event in ledger.events.after(subject="orthanc")]
        series = ledger.series.newest(state=SeriesState.RELEASED)
    assert kinds == ["watch-waits", "watch-goes-on"]
    assert sorted(record.instance_count for record in series) == [10, 40]
    wait_for(lambda: modalities(archive) == {"CT": 2, "SEG": 2, "SR": 2}, "both results are in the archive")
