"""A faulty model's results are taken back while everything is killed: each object is rejected by exactly one note."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.domain.review import ReviewState
from tests.data.faults import ct
from tests.e2e.service.test_service import send
from tests.parts.archive.dcmtk import Peer, dcmqrscp
from tests.parts.dicom.validators import assert_valid
from tests.parts.results import named
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)

SERIES = 4
MODEL = '''
"""A model that turns out to be faulty."""
from orchestrator.sdk import Intended, Result, Segment, codes, hookimpl


class Faulty:
    name = "faulty"
    version = "1"
    intended = Intended(modality=("CT",))

    def predict(self, volume):
        return Result(segments=[Segment("Bone", volume.voxels > volume.voxels.min(), codes["bone"])])


@hookimpl
def register_models(register):
    register(Faulty())
'''
RULES = '[[rule]]\nname = "CT"\nmodel = "faulty"\n\n[rule.when]\nModality = "CT"\n'


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Peer]:
    with dcmqrscp(tmp_path / "archive") as peer:
        yield peer


@pytest.fixture
def host(tmp_path: Path, archive: Peer) -> Iterator[Service]:
    (tmp_path / "faulty.py").write_text(MODEL)
    (tmp_path / "rules.toml").write_text(RULES)
    rest = f'[models]\nplugins = ["{tmp_path}"]\n\n[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n'
    with service(tmp_path / "host", rest=rest + destination(archive.url)) as made:
        yield made


def order(host: Service) -> list[str | Path]:
    told = ["--model", "faulty", "--version", "1", "--reason", "mirrored", "--by", "Ada", "--organization", "Radiology"]
    return ["results", "retract", *told, "-s", host.settings]


def held_by(archive: Peer) -> list[Dataset]:
    files = [path for path in archive.folder.iterdir() if path.name != "index.dat"]
    return [dcmread(path, stop_before_pixels=True) for path in files]


def notes(host: Service) -> list[DeliveryState]:
    with closing(host.ledger()) as ledger:
        return [row.state for job in ledger.jobs.search() for row in ledger.withdrawals.notes(job.key)]


def retracted(host: Service) -> int:
    with closing(host.ledger()) as ledger:
        return ledger.results.count()[ReviewState.RETRACTED]


def test_an_order_that_is_killed_in_the_middle_goes_on_and_rejects_each_object_once(
    tmp_path: Path, archive: Peer, host: Service
) -> None:
    host.start()
    host.ready()
    for number in range(SERIES):
        send(ct(tmp_path / f"ct{number}"), archive, host)
    host.job_ends(count=SERIES)
    first = subprocess.Popen([sys.executable, "-m", "orchestrator", *map(str, order(host))], stdout=subprocess.DEVNULL)
    wait_for(lambda: retracted(host) > 0, "the first result is retracted")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    host.kill_all()
    host.start()
    again = run_command(*order(host))
    assert again.returncode == 0, again.stderr
    wait_for(lambda: notes(host).count(DeliveryState.CONFIRMED) == SERIES, "all notes are confirmed")
    held = held_by(archive)
    written = {item.SOPInstanceUID for item in held if item.Modality in {"SEG", "SR"}}
    rejected = Counter(uid for item in held if item.Modality == "KO" for uid in named(item))
    assert len(written) == 2 * SERIES
    assert rejected == dict.fromkeys(written, 1)
    for path in archive.folder.iterdir():
        if path.name != "index.dat" and dcmread(path, stop_before_pixels=True).Modality == "KO":
            assert_valid(path)
    send(ct(tmp_path / "later"), archive, host)
    wait_for(lambda: any(job.state is JobState.HELD for job in host.jobs()), "a later series is not run on")
    assert "rejection notes" in run_command("doctor", "-s", host.settings).stdout
