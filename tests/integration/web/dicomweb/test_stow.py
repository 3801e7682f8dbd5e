"""STOW-RS over the real application into a real spool."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from fastapi import FastAPI
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from orchestrator.archive import Arrival, Closed, Notification, Spool, Stow, storage_classes
from orchestrator.archive.http.multipart import MultipartBody
from orchestrator.ledger import Ledger
from orchestrator.web import Server, create_app
from orchestrator.web.security import uploads
from tests.data.objects import write_instance, write_instances
from tests.data.reading_room import Drawings
from tests.integration.archive.conftest import wait_until
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.orthanc import orthanc

STUDIES = "/dicom-web/studies"


@dataclass
class Inlet:
    """The application, its spool and what it told."""

    app: FastAPI
    spool: Spool
    notes: list[Notification] = field(default_factory=list)

    @property
    def arrivals(self) -> list[Arrival]:
        return [note for note in self.notes if isinstance(note, Arrival)]

    @property
    def ends(self) -> list[bool]:
        return [note.released for note in self.notes if isinstance(note, Closed)]

    def post(self, body: bytes | AsyncIterator[bytes], path: str = STUDIES, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            wire = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
                return await client.post(path, content=body, headers=headers)

        return asyncio.run(ask())

    def send(self, files: list[Path], path: str = STUDIES, **headers: str) -> httpx.Response:
        outgoing = MultipartBody.of(files)
        return self.post(b"".join(outgoing), path, **{"content-type": outgoing.headers["Content-Type"], **headers})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


@pytest.fixture
def inlet(ledger: Ledger, tmp_path: Path) -> Inlet:
    return inlet_with(ledger, Spool(tmp_path / "spool"))


def inlet_with(ledger: Ledger, spool: Spool) -> Inlet:
    notes: list[Notification] = []
    stow = Stow(spool, storage_classes(), notes.append)
    return Inlet(create_app(ledger, pictures=Drawings(), models={}, take=stow.take), spool, notes)


def answered(response: httpx.Response) -> Dataset:
    return Dataset.from_json(response.text)


def test_instances_are_durable_told_and_named_in_the_answer(inlet: Inlet, tmp_path: Path) -> None:
    files = write_instances(tmp_path / "sent", 3)
    response = inlet.send(files)
    sent = {dcmread(path).SOPInstanceUID for path in files}
    assert (response.status_code, response.headers["content-type"]) == (200, "application/dicom+json")
    assert {item.ReferencedSOPInstanceUID for item in answered(response).ReferencedSOPSequence} == sent
    assert {arrival.sop_uid for arrival in inlet.arrivals} == sent == {file.sop_uid for file in inlet.spool.scan()}
    assert (len({arrival.association for arrival in inlet.arrivals}), inlet.ends) == (1, [True])


def test_a_file_is_kept_as_it_came(inlet: Inlet, tmp_path: Path) -> None:
    sent = write_instance(tmp_path / "x.dcm", pixels=bytes(range(128)))
    inlet.send([sent])
    assert dcmread(inlet.arrivals[0].path) == dcmread(sent)
    assert (inlet.arrivals[0].source, inlet.spool.arrival(next(inlet.spool.scan())).source) == ("stow-rs", "stow-rs")


def test_what_is_no_file_of_dicom_is_named_and_the_rest_is_kept(inlet: Inlet, tmp_path: Path) -> None:
    noise, good = tmp_path / "noise.dcm", write_instance(tmp_path / "good.dcm")
    noise.write_bytes(b"no DICOM" * 100)
    response = inlet.send([noise, good])
    answer = answered(response)
    assert response.status_code == 202
    assert [item.FailureReason for item in answer.OtherFailuresSequence] == [0xC000]
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [dcmread(good).SOPInstanceUID]


def test_an_instance_of_another_study_is_refused_by_its_name(
    inlet: Inlet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = generate_uid(), write_instance(tmp_path / "other.dcm")
    response = inlet.send([other], f"{STUDIES}/{mine}")
    (failed,) = answered(response).FailedSOPSequence
    assert (response.status_code, failed.FailureReason) == (409, 0xA900)
    assert failed.ReferencedSOPInstanceUID == dcmread(other).SOPInstanceUID
    assert list(inlet.spool.scan()) == list(inlet.spool.incoming.iterdir()) == []
    assert re.search(r"STOW-RS of [\d.]+ from 127\.0\.0\.1 refused with A900H: data set is of study", caplog.text)


def test_an_instance_of_the_study_is_taken(inlet: Inlet, tmp_path: Path) -> None:
    study = generate_uid()
    assert inlet.send([write_instance(tmp_path / "x.dcm", study=study)], f"{STUDIES}/{study}").status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sop_class": "1.2.840.113619.4.30"}, 0x0122),
        ({"transfer_syntax": "1.2.840.113619.5.2"}, 0xC122),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_the_receiver_would_not_take_is_refused(
    inlet: Inlet, tmp_path: Path, change: dict[str, str], reason: int
) -> None:
    path = write_instance(tmp_path / "x.dcm")
    content = dcmread(path)
    for keyword, value in change.items():
        name = {"sop_class": "MediaStorageSOPClassUID", "transfer_syntax": "TransferSyntaxUID"}[keyword]
        setattr(content.file_meta, name, value)
    content.save_as(path, implicit_vr=False, little_endian=True)
    assert [item.FailureReason for item in answered(inlet.send([path])).FailedSOPSequence] == [reason]


def test_a_full_disk_is_said_so_that_the_sender_tries_again(ledger: Ledger, tmp_path: Path) -> None:
    inlet = inlet_with(ledger, Spool(tmp_path / "spool", minimum_free_mb=1 << 40))
    response = inlet.send([write_instance(tmp_path / "x.dcm")])
    assert response.status_code == 503
    assert [item.FailureReason for item in answered(response).FailedSOPSequence] == [0xA700]


def test_half_a_body_keeps_what_came_whole_and_says_so(inlet: Inlet, tmp_path: Path) -> None:
    outgoing = MultipartBody.of(write_instances(tmp_path / "sent", 3))
    body = b"".join(outgoing)
    response = inlet.post(body[: len(body) // 2], **{"content-type": outgoing.headers["Content-Type"]})
    assert response.status_code == 400
    assert (len(inlet.arrivals), inlet.ends) == (1, [False])
    assert list(inlet.spool.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("content_type", "accept", "status"),
    [
        ("application/dicom", "*/*", 415),
        ('multipart/related; type="application/dicom+xml"; boundary=x', "*/*", 415),
        ('multipart/related; type="application/dicom"', "*/*", 415),
        ('multipart/related; type="application/dicom"; boundary=x', "text/html", 406),
        ('multipart/related; type="application/dicom"; boundary=x', "*/*", 400),
    ],
)
def test_what_is_no_request_to_store_is_refused(inlet: Inlet, content_type: str, accept: str, status: int) -> None:
    assert inlet.post(b"--x--", **{"content-type": content_type, "accept": accept}).status_code == status
    assert list(inlet.spool.scan()) == []


def test_the_answer_comes_as_xml_where_only_that_is_accepted(inlet: Inlet, tmp_path: Path) -> None:
    response = inlet.send([write_instance(tmp_path / "x.dcm")], accept="application/dicom+xml")
    root = ElementTree.fromstring(response.text)
    attributes = {each.get("keyword"): each for each in root.iter() if each.get("keyword")}
    assert response.headers["content-type"].startswith("application/dicom+xml")
    assert "".join(attributes["ReferencedSOPInstanceUID"].itertext()) == inlet.arrivals[0].sop_uid


def test_another_site_stores_nothing(inlet: Inlet, tmp_path: Path) -> None:
    files = [write_instance(tmp_path / "x.dcm")]
    assert inlet.send(files, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert list(inlet.spool.scan()) == []


def test_where_no_images_are_taken_there_is_no_such_address(ledger: Ledger, tmp_path: Path) -> None:
    inlet = Inlet(create_app(ledger, pictures=Drawings(), models={}), Spool(tmp_path / "spool"))
    assert inlet.send([write_instance(tmp_path / "x.dcm")]).status_code == 404


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    port = free_port()
    server = Server(app, port=port)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_body_of_unknown_length_is_streamed_and_a_lost_client_leaves_no_half_file(
    inlet: Inlet, tmp_path: Path
) -> None:
    outgoing = MultipartBody.of(write_instances(tmp_path / "sent", 2, pixels=bytes(2 << 20)))
    headers = {"content-type": outgoing.headers["Content-Type"]}

    def broken() -> Iterator[bytes]:
        yield from list(outgoing)[:3]
        raise ConnectionError

    with served(inlet.app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post(STUDIES, content=iter(outgoing), headers=headers).status_code == 200
        with pytest.raises(ConnectionError):
            client.post(STUDIES, content=broken(), headers=headers)
        wait_until(lambda: inlet.ends == [True, False])
    assert list(inlet.spool.incoming.iterdir()) == []
    assert len(list(inlet.spool.scan())) == 2


def test_silent_uploads_give_their_places_to_others(
    inlet: Inlet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STALL_SECONDS", 0.05)
    outgoing = MultipartBody.of(write_instances(tmp_path / "sent", 1))
    headers = {"content-type": outgoing.headers["Content-Type"]}

    async def push_beside_silent_ones() -> tuple[int, set[int]]:
        wire = httpx.ASGITransport(inlet.app)
        async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
            begun = asyncio.Semaphore(0)

            async def silence() -> AsyncIterator[bytes]:
                yield b"--"
                begun.release()
                await asyncio.Event().wait()

            silent = [
                asyncio.create_task(client.post(STUDIES, content=silence(), headers=headers))
                for _ in range(uploads.UPLOADS)
            ]
            for _ in silent:
                await begun.acquire()
            response = await client.post(STUDIES, content=b"".join(outgoing), headers=headers)
            done, pending = await asyncio.wait(silent, return_when=asyncio.FIRST_COMPLETED)
            for each in pending:
                each.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            return response.status_code, {each.result().status_code for each in done}

    assert asyncio.run(push_beside_silent_ones()) == (200, {408})


def test_an_upload_beside_busy_ones_is_refused_for_a_time(
    inlet: Inlet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "WAIT_SECONDS", 0.0)
    inlet.app.state.site.uploads.limit = 0
    response = inlet.send(write_instances(tmp_path / "sent", 1))
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
    assert list(inlet.spool.scan()) == []


def test_orthanc_pushes_by_stow_rs(inlet: Inlet, tmp_path: Path) -> None:
    files = write_instances(tmp_path / "sent", 3, pixels=bytes(1 << 20))
    with served(inlet.app) as url:
        servers = {"ours": {"Url": f"{url}/dicom-web/"}}
        with orthanc(tmp_path / "orthanc", DicomWeb={"Enable": True, "Servers": servers}) as archive:
            archive.put(files)
            resources = archive.ask("GET", "/instances").json()
            answer = archive.ask("POST", "/dicom-web/servers/ours/stow", json={"Resources": resources})
    assert answer.status_code == 200
    assert {arrival.sop_uid for arrival in inlet.arrivals} == {dcmread(path).SOPInstanceUID for path in files}
