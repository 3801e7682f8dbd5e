"""A pushed series, and two real Orthancs that hold the result: one fed by its own API, one by DICOMweb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.domain.records import DeliveryState
from tests.data.faults import change
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import storescu
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)
NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[tuple[Orthanc, Orthanc]]:
    with orthanc(tmp_path / "own") as own, orthanc(tmp_path / "web", user="host:secret") as web:
        yield own, web


@pytest.fixture
def host(tmp_path: Path, archives: tuple[Orthanc, Orthanc]) -> Iterator[Service]:
    own, web = archives
    (tmp_path / "password").write_text("secret\n")
    told = {"username": "host", "password_file": str(tmp_path / "password")}
    rest = destination(own.url, "own") + destination(web.dicomweb_url, "web", **told)
    with service(tmp_path / "host", rest=rest) as made:
        yield made


def results_in(archive: Orthanc) -> list[Dataset]:
    """Return the SEGs and SRs that the archive holds."""
    files = [archive.ask("GET", f"/instances/{name}/file").content for name in archive.ask("GET", "/instances").json()]
    found = [dcmread(BytesIO(file)) for file in files]
    return [item for item in found if item.Modality in {"SEG", "SR"}]


def test_a_result_is_confirmed_in_archives_that_are_asked_by_http(
    tmp_path: Path, archives: tuple[Orthanc, Orthanc], host: Service
) -> None:
    host.start()
    host.ready()
    files = ct_series(tmp_path / "ct")
    japanese = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": NAME}
    change(files, lambda dataset: [setattr(dataset, key, value) for key, value in japanese.items()])
    for archive in archives:
        archive.put(files)
    assert storescu(host.port, files, calling="CT1").returncode == 0
    (job,) = host.job_ends()
    with closing(host.ledger()) as ledger:
        rows = wait_for(lambda: ledger.deliveries.of_job(job.key), "there are deliveries")
    assert {(row.destination, row.state) for row in rows} == {
        ("own", DeliveryState.CONFIRMED),
        ("web", DeliveryState.CONFIRMED),
    }
    for archive in archives:
        found = results_in(archive)
        assert sorted(item.Modality for item in found) == ["SEG", "SR"]
        assert {str(item.PatientName) for item in found} == {NAME}
    assert "山田" not in host.log
    assert "secret" not in host.log
