"""Notes on their way to a real Orthanc, by its own interface, by DICOMweb and by DIMSE: stored, and confirmed there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.archive import connect
from orchestrator.domain.records import DeliveryState, RetractionRecord
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.archive.post import Post
from tests.parts.results import add_result


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=3, rows=16, columns=16)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, sources: Sequence[Path]) -> Iterator[Orthanc]:
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": free_port()}
    with orthanc(tmp_path_factory.mktemp("orthanc"), DicomAet="ORTHANC", DicomModalities={"ours": ours}) as made:
        made.put(list(sources))
        yield made


@pytest.mark.parametrize("way", ["orthanc", "dicomweb", "dimse"])
def test_a_newer_result_and_a_retraction_each_leave_a_note_in_orthanc(
    tmp_path: Path, archive: Orthanc, sources: Sequence[Path], way: str
) -> None:
    urls = {
        "orthanc": archive.url,
        "dicomweb": archive.dicomweb_url,
        "dimse": f"dimse://ORTHANC@127.0.0.1:{archive.dicom_port}",
    }
    pacs = connect(urls[way], name="pacs", timeout_seconds=30)
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        post = Post(ledger, tmp_path / "outbox", lambda: {"pacs": Destination("pacs", pacs)})
        old = add_result(post, sources, f"old by {way}")
        post.run()
        new = add_result(post, sources, f"new by {way}", version="2.0")
        post.run()
        order = RetractionRecord(
            model="finder", model_version="2.0", reason="worse", by="Ada", organization="R", at=post.now
        )
        ledger.withdrawals.retract(order.verdict_on(new.key))
        post.run()
        rows = [*ledger.withdrawals.notes(old.key), *ledger.withdrawals.notes(new.key)]
        notes = [note.sop_uid for row in rows if (note := ledger.withdrawals.note_object(row))]
    assert [(row.note, row.state) for row in rows] == [
        ("superseded", DeliveryState.CONFIRMED),
        ("retracted", DeliveryState.CONFIRMED),
    ]
    found = [archive.ask("POST", "/tools/lookup", content=uid).json() for uid in notes]
    assert [[each["Type"] for each in one] for one in found] == [["Instance"], ["Instance"]]
