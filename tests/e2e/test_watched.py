"""A watched Orthanc: series put into it come back as results in it, once, whatever is killed or away in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.domain.fetching import WATCHING, FetchState
from orchestrator.domain.job import JobState
from tests.data.series import ct_series, mr_series
from tests.parts.orthanc import Orthanc, orthanc
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(300)]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with orthanc(tmp_path / "orthanc") as peer:
        yield peer


RULES = """
[[rule]]
name = "bones"
model = "bone-volume"

[rule.when]
Modality = "CT"
"""


@pytest.fixture
def host(tmp_path: Path, archive: Orthanc) -> Iterator[Service]:
    (tmp_path / "rules.toml").write_text(RULES)
    rules = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n'
    watched = f'[[archive]]\nname = "orthanc"\nurl = "{archive.url}"\nwatch = true\nlook_seconds = 0.2\n\n'
    with service(tmp_path / "host", rest=rules + watched + destination(archive.url, "orthanc")) as made:
        yield made


def watching(host: Service) -> None:
    """Wait until the watch has begun: what is put into the archive from now on is new."""
    host.ready()
    with closing(host.ledger()) as ledger:
        wait_for(lambda: ledger.watch("orthanc").cursor, "the archive is looked at")


def modalities(archive: Orthanc) -> Counter[str]:
    """Return how many series of each modality the archive holds."""
    series = archive.ask("GET", "/series", params={"expand": ""}).json()
    return Counter(each["MainDicomTags"]["Modality"] for each in series)


def counts(host: Service) -> dict[FetchState, int]:
    with closing(host.ledger()) as ledger:
        return dict(ledger.count_fetches("orthanc", WATCHING))


def test_a_series_in_a_watched_archive_comes_back_as_a_result_once(
    tmp_path: Path, archive: Orthanc, host: Service
) -> None:
    host.start()
    watching(host)
    archive.put(ct_series(tmp_path / "ct", slices=10))
    archive.put(mr_series(tmp_path / "mr", slices=2))
    host.job_ends()
    wait_for(lambda: modalities(archive) == {"CT": 1, "MR": 1, "SEG": 1, "SR": 1}, "SEG and SR are in the archive")
    wait_for(lambda: counts(host)[FetchState.UNWANTED] == 3, "the watch has seen MR, SEG and SR")
    assert len({path.parent for path in (host.data / "spool").rglob("*.dcm")}) == 1
    assert [job.state for job in host.jobs()] == [JobState.DONE]
    assert modalities(archive) == {"CT": 1, "MR": 1, "SEG": 1, "SR": 1}


def test_nothing_is_lost_when_the_watcher_is_killed_and_the_archive_goes_away(
    tmp_path: Path, archive: Orthanc, host: Service
) -> None:
    host.start()
    watching(host)
    archive.put(ct_series(tmp_path / "first", slices=40, rows=128, columns=128, seed="first"))
    wait_for(lambda: any((host.data / "spool").rglob("*.dcm")), "the fetch has begun")
    host.kill("watcher")
    archive.stop()
    with closing(host.ledger()) as ledger:
        wait_for(lambda: ledger.watch("orthanc").waits_since, "the watcher is back and misses the archive")
        archive.start()
        archive.put(ct_series(tmp_path / "second", slices=10, seed="second"))
        host.job_ends(count=2)
        kinds = [event.kind for event in ledger.events(subject="orthanc")]
        sizes = sorted(record.instance_count for record in ledger.list_series() if record.modality == "CT")
    assert kinds == ["watch-waits", "watch-goes-on"]
    assert sizes == [10, 40]
    wait_for(lambda: modalities(archive) == {"CT": 2, "SEG": 2, "SR": 2}, "both results are in the archive")


def test_an_archive_that_tells_nothing_new_cannot_be_watched(tmp_path: Path) -> None:
    rest = '[[archive]]\nname = "vna"\nurl = "dicomweb+http://127.0.0.1:1/dicom-web"\nwatch = true\n'
    (tmp_path / "orchestrator.toml").write_text(rest + f'\n[data]\nfolder = "{tmp_path / "data"}"\n')
    ended = run_command("serve", "--role", "watcher", "--settings", tmp_path / "orchestrator.toml")
    assert ended.returncode == 2
    assert "archive 'vna' cannot be watched" in ended.stderr
