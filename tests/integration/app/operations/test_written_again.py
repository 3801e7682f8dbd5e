"""A result that an archive refuses is parked; after the setting is changed it is written and sent as it is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import evt

from orchestrator.app.installation import host as hosting
from orchestrator.app.installation.write_options import options_of
from orchestrator.config import Settings, load_settings
from orchestrator.dicom import read_instance
from orchestrator.domain.job import JobState
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.control import JobControl
from tests.data.series import ct_series
from tests.parts.archive.dicom_peer import peer_that

PATIENCE_SECONDS = 60.0
RULES = """[[rule]]
name  = "bones"
model = "bone-volume"

[rule.when]
Modality = "CT"
"""


@pytest.fixture
def archive() -> Iterator[tuple[str, list[str]]]:
    """Give an archive that takes reports and pictures but no segmentations, and the classes of what it took."""
    taken: list[str] = []

    def take(event: evt.Event) -> int:
        taken.append(str(event.request.AffectedSOPClassUID))
        return 0x0000

    classes = (CTImageStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)
    with peer_that({evt.EVT_C_STORE: take}, *classes) as url:
        yield url, taken


def settings(folder: Path, url: str, *more: str) -> Settings:
    file = folder / "orchestrator.toml"
    (folder / "rules.toml").write_text(RULES)
    file.write_text(
        "\n".join(
            [
                '[data]\nfolder = "data"\n[rules]\nfile = "rules.toml"\n[web]\nenabled = false',
                f'[[destination]]\nname = "pacs"\nurl = "{url}"\nask = false\nconfirm = "none"',
                *more,
            ]
        )
    )
    return load_settings(file, {})


def run(given: Settings, end: JobState, start: Callable[[hosting.Host], object] = lambda _: None) -> None:
    """Run the service until its only job has this state."""
    with hosting.opened(given) as host:
        start(host)
        deadline = time.monotonic() + PATIENCE_SECONDS  # a bound against hanging, no measure
        while [job.state for job in host.ledger.jobs.search()] != [end]:
            assert time.monotonic() < deadline, [(job.state, job.reason) for job in host.ledger.jobs.search()]
            time.sleep(0.05)


def test_a_result_goes_as_key_image_once_the_setting_is_changed(tmp_path: Path, archive: tuple[str, list[str]]) -> None:
    url, taken = archive
    images = [read_instance(path) for path in ct_series(tmp_path / "in", slices=6)]

    def admit(host: hosting.Host) -> None:
        record = host.routing.admit(images, source="test", host_facts={}, reason="a test")
        host.routing.release(record.series_uid, record.revision, "a test")

    usual = settings(tmp_path, url)
    run(usual, JobState.PARKED, admit)
    changed = settings(tmp_path, url, 'objects = ["sr", "key-image"]')
    with closing(Ledger.open(usual.data.database)) as ledger, closing(Client(usual.data.database)) as client:
        (job,) = ledger.jobs.search()
        assert 'write objects = ["sr", "key-image"]' in job.reason
        JobControl(ledger, client, destinations=options_of(changed)).retry(job.key, by="Ada")
    assert taken == []
    run(changed, JobState.DONE)
    assert set(taken) == {Comprehensive3DSRStorage, SecondaryCaptureImageStorage}
