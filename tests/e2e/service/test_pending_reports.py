"""A report of storage commitment that is owed outlives kill -9, and where it cannot be brought, that is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from tests.data.objects import instance
from tests.parts.archive.dcmtk import echoscu, free_port
from tests.parts.archive.modality import Reports, ask, associated, leave_at_the_report, listening, promised
from tests.parts.service import Service, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def their_port() -> int:
    return free_port()


@pytest.fixture
def host(tmp_path: Path, their_port: int) -> Iterator[Service]:
    sender = f'[[sender]]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {their_port}\n'
    with service(tmp_path / "host", receiver="commitment = true", rest=sender) as made:
        yield made


def receiving(host: Service, *roles: str) -> None:
    host.start(*roles)
    wait_for(lambda: echoscu(host.port).returncode == 0, "the receiver answers")


@contextmanager
def asked(host: Service, images: Sequence[Dataset], transaction: str) -> Iterator[None]:
    """Send the images, ask for their commitment, and be gone when the report comes."""
    with associated(host.port, []) as association:
        leave_at_the_report(association)
        for image in images:
            assert association.send_c_store(image).Status == 0
        assert ask(association, [(CTImageStorage, image.SOPInstanceUID) for image in images], transaction) == 0
        yield


@pytest.mark.parametrize("roles", [("receiver",), ("receiver", "engine")], ids=["the receiver alone", "the service"])
def test_a_report_that_is_owed_comes_after_kill_9(host: Service, their_port: int, roles: Sequence[str]) -> None:
    images, transaction = [instance() for _ in range(5)], generate_uid()
    reports: Reports = []
    receiving(host, *roles)
    with asked(host, images, transaction):
        host.kill_all()
    with listening("CT1", reports, their_port):
        receiving(host, *roles)
        wait_for(lambda: reports, "the report came")
    ((event, report),) = reports
    assert (event, report.TransactionUID) == (1, transaction)
    assert promised(report) == {image.SOPInstanceUID for image in images}


def test_a_sender_that_is_never_reached_is_found_among_the_events(host: Service) -> None:
    transaction = generate_uid()
    host.kept = "retain_days = 0"
    receiving(host)
    with asked(host, [instance()], transaction):
        pass
    arguments = ("events", transaction, "--json", "--settings", host.settings)
    found = wait_for(lambda: json.loads(run_command(*arguments).stdout or "[]"), "an event tells of it")
    assert [event["kind"] for event in found] == ["commitment-unreported"]
    assert "CT1" in found[0]["text"]
