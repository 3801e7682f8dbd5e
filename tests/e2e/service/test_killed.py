"""kill -9 of any process at any moment, then start again: each result appears exactly once in the archive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.domain.job import ENDED, JobState
from tests.data.series import ct_series
from tests.e2e.service.test_service import results_in, send
from tests.parts.archive.dcmtk import Peer, dcmqrscp, storescu
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)

SLOW_MODEL = '''
"""A model that takes its time, so that it can be killed while it runs."""
import time
from orchestrator.sdk import Intended, Result, Segment, codes, hookimpl


class Slow:
    name = "slow"
    version = "1"
    intended = Intended(modality=("CT",))

    def predict(self, volume):
        time.sleep(2.0)
        return Result(segments=[Segment("Bone", volume.voxels > 300, codes["bone"])])


@hookimpl
def register_models(register):
    register(Slow())
'''
SLOW_RULES = """
[[rule]]
name = "slow on CT"
model = "slow"

[rule.when]
Modality = "CT"
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Peer]:
    with dcmqrscp(tmp_path / "archive") as peer:
        yield peer


@pytest.fixture
def host(tmp_path: Path, archive: Peer) -> Iterator[Service]:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "slow.py").write_text(SLOW_MODEL)
    (tmp_path / "rules.toml").write_text(SLOW_RULES)
    rest = f'[models]\nplugins = ["{plugins}"]\n\n[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n'
    with service(tmp_path / "host", rest=rest + destination(archive.url)) as made:
        yield made


def exactly_once(archive: Peer) -> None:
    """One SEG and one SR, and nothing else that was written by us."""
    assert sorted(dcmread(path).Modality for path in results_in(archive)) == ["SEG", "SR"]


def begun(host: Service) -> bool:
    """Return whether the model runs; a busy machine may see that only later."""
    return any(job.state is not JobState.WAITING for job in host.jobs())


def written(host: Service) -> bool:
    return any(job.state in (JobState.DELIVERING, JobState.DONE) for job in host.jobs())


@pytest.mark.parametrize("delay_seconds", [0.0, 0.7, 1.5])
def test_all_processes_killed_while_the_model_runs(
    tmp_path: Path, archive: Peer, host: Service, delay_seconds: float
) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    wait_for(lambda: begun(host), "the model runs")
    time.sleep(delay_seconds)
    host.kill_all()
    host.start()
    host.job_ends()
    exactly_once(archive)


def test_all_processes_killed_right_after_the_images_were_acknowledged(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    host.kill_all()
    host.start()
    host.job_ends()
    exactly_once(archive)


def test_all_processes_killed_around_the_delivery(tmp_path: Path, archive: Peer, host: Service) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    wait_for(lambda: written(host), "the result is written")
    host.kill_all()
    host.start()
    host.job_ends()
    exactly_once(archive)


def test_the_engine_alone_is_killed_and_comes_back(tmp_path: Path, archive: Peer, host: Service) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    wait_for(lambda: begun(host), "the model runs")
    host.kill("engine")
    host.job_ends()
    exactly_once(archive)


def test_the_model_process_alone_is_killed_and_the_attempt_is_repeated(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    send(ct_series(tmp_path / "ct"), archive, host)
    wait_for(lambda: begun(host), "the model runs")
    time.sleep(0.5)
    host.kill_models()
    host.job_ends()
    exactly_once(archive)


def test_the_receiver_killed_in_the_middle_of_a_series_loses_no_acknowledged_image(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    files = ct_series(tmp_path / "ct", slices=60, rows=256, columns=256)
    assert storescu(archive.port, files, called=archive.ae_title).returncode == 0
    assert storescu(host.port, files[:20], calling="CT1").returncode == 0
    host.kill("receiver")
    wait_for(lambda: storescu(host.port, files[20:], calling="CT1").returncode == 0, "the receiver is back")
    wait_for(
        lambda: (
            any(job.state is JobState.DONE and job.revision >= 1 for job in host.jobs())
            and all(job.state in ENDED for job in host.jobs())
        ),
        "the jobs ended",
    )
    ledger = host.ledger()
    newest = ledger.series.find(dcmread(files[0]).SeriesInstanceUID)
    ledger.close()
    assert newest is not None
    assert newest.instance_count == len(files)
