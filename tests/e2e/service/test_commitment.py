"""A real archive that takes responsibility for results: it answers later, to the receiver of the host."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from orchestrator.domain.records import DeliveryState
from tests.data.faults import ct
from tests.data.models import rule
from tests.parts.archive.dcmtk import storescu
from tests.parts.archive.orthanc import orthanc
from tests.parts.service import destination, service

pytestmark = pytest.mark.timeout(300)


def test_orthanc_commits_itself_to_results_that_it_got_deflated(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT"))
    with service(tmp_path / "host") as host:
        ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": host.port}
        with orthanc(tmp_path / "orthanc", DicomAet="ORTHANC", DicomModalities={"ours": ours}) as archive:
            url = f"dimse://ORTHANC@127.0.0.1:{archive.dicom_port}"
            chosen = destination(url, "orthanc", confirm="commitment", transfer_syntax="deflated")
            host.rest = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n{chosen}'
            host.start()
            host.ready()
            paths = ct(tmp_path / "committed")
            for port, called in ((archive.dicom_port, "ORTHANC"), (host.port, "ORCHESTRATOR")):
                assert storescu(port, paths, called=called).returncode == 0
            (job,) = host.job_ends()
            with closing(host.ledger()) as ledger:
                (delivery,), objects = ledger.deliveries.of_job(job.key), ledger.objects.of_job(job.key)
    assert (delivery.state, delivery.confirmed_by) == (DeliveryState.CONFIRMED, "commitment")
    assert delivery.sent_at is not None
    assert {dcmread(item.path).file_meta.TransferSyntaxUID for item in objects} == {DeflatedExplicitVRLittleEndian}
