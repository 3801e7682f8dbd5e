"""A series out of Debian's Orthanc by its own API: all at once where it has the DICOMweb plugin, else one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from orchestrator.archive import Spool, SpoolInbox, connect
from orchestrator.archive.http.client import HttpSession
from orchestrator.domain.errors import ArchiveError, ArchiveUnavailable
from orchestrator.domain.ports import FoundSeries
from tests.data.objects import instance
from tests.data.series import ct_series
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.archive.web_server import Answer, Request, web_server

SERIES = FoundSeries("1.2", "1.3")
PLUGIN = b'{"RootUri": "../dicom-web/app/client/index.html"}'
MULTIPART = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut-here'}


@pytest.fixture(scope="module")
def with_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("with")) as running:
        yield running


@pytest.fixture(scope="module")
def without_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("without"), Plugins=[]) as running:
        yield running


@pytest.fixture(scope="module")
def with_plugin_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("elsewhere"), DicomWeb={"Root": "/rest/of-it/"}) as running:
        yield running


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that any archive is asked for from now on."""
    paths: list[str] = []
    asking = HttpSession.stream

    def stream(session: HttpSession, method: str, path: str, **told: Any) -> AbstractContextManager[httpx.Response]:
        paths.append(path)
        return asking(session, method, path, **told)

    monkeypatch.setattr(HttpSession, "stream", stream)
    return paths


def fetch(url: str, series: FoundSeries, folder: Path) -> int:
    inbox = SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=series.series_uid, notify=lambda _: None)
    try:
        return connect(url, name="vna").fetch(series, inbox)
    finally:
        inbox.close(whole=False)


def stored(peer: Orthanc, folder: Path, slices: int = 5) -> FoundSeries:
    paths = ct_series(folder / "ct", slices=slices, seed=folder.name)
    peer.put(paths)
    header = dcmread(paths[0], stop_before_pixels=True)
    return FoundSeries(header.StudyInstanceUID, header.SeriesInstanceUID)


def datasets(folder: Path) -> dict[str, bytes]:
    """Return the pixels of every DICOM file below the folder by SOP Instance UID."""
    headers = [dcmread(path) for path in folder.rglob("*.dcm")]
    return {header.SOPInstanceUID: header.PixelData for header in headers}


@pytest.mark.parametrize(
    ("peer", "begins", "times"),
    [
        ("with_plugin", "/dicom-web/studies/", 1),
        ("with_plugin_elsewhere", "/rest/of-it/studies/", 1),
        ("without_plugin", "/instances/", 5),
    ],
)
def test_a_series_comes_in_one_answer_where_the_plugin_is(
    request: pytest.FixtureRequest, tmp_path: Path, asked: list[str], peer: str, begins: str, times: int
) -> None:
    running: Orthanc = request.getfixturevalue(peer)
    series = stored(running, tmp_path)
    assert fetch(running.url, series, tmp_path) == 5
    assert datasets(tmp_path / "spool") == datasets(tmp_path / "ct")
    assert len([path for path in asked if path.startswith(begins)]) == times


@pytest.mark.parametrize("peer", ["with_plugin", "without_plugin"])
def test_a_file_that_orthanc_has_lost_is_noticed(request: pytest.FixtureRequest, tmp_path: Path, peer: str) -> None:
    running: Orthanc = request.getfixturevalue(peer)
    series = stored(running, tmp_path)
    lost = next(path for path in (running.folder / "storage").rglob("*-*") if is_of(series, path))
    running.stop()  # it keeps in memory what it took lately
    lost.unlink()
    running.start()
    with pytest.raises(ArchiveError):
        fetch(running.url, series, tmp_path)


def is_of(series: FoundSeries, path: Path) -> bool:
    return (
        path.is_file()
        and path.read_bytes()[128:132] == b"DICM"
        and dcmread(path).SeriesInstanceUID == series.series_uid
    )


# --- an Orthanc that answers as a test tells it to ------------------------------------------------------------


def fetched(folder: Path, plugin: Answer, series: Answer) -> tuple[int, list[str]]:
    """Fetch two images, one of an Orthanc that answers so for its plugin and by it; return how many and the paths."""
    files = {f"/instances/{name}/file": file(f"1.4.{name}") for name in "89"}
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        if request.path == "/tools/find":
            return Answer(body=b'[{"Instances": ["8", "9"]}]')
        if request.path == "/plugins/dicom-web":
            return plugin
        return Answer(body=files[request.path]) if request.path in files else series

    with web_server(answer) as port:
        return fetch(f"orthanc+http://127.0.0.1:{port}", SERIES, folder), paths


def file(sop_uid: str) -> bytes:
    written = BytesIO()
    instance(study="1.2", series="1.3", sop_uid=sop_uid).save_as(written, enforce_file_format=True)
    return written.getvalue()


def handed_out(*files: bytes) -> Answer:
    parts = [b"--cut-here\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in files]
    return Answer(body=b"".join(parts) + b"--cut-here--\r\n", headers=MULTIPART)


def test_nothing_is_asked_twice_of_the_plugin(tmp_path: Path) -> None:
    count, paths = fetched(tmp_path, Answer(body=PLUGIN), handed_out(file("1.4.1"), file("1.4.2")))
    assert count == 2
    assert paths == ["/tools/find", "/plugins/dicom-web", "/dicom-web/studies/1.2/series/1.3"]


@pytest.mark.parametrize(
    "plugin",
    [
        Answer(status=404),
        Answer(status=403),
        Answer(body=b"{}"),
        Answer(body=b"[]"),
        Answer(body=b'{"RootUri": "https://elsewhere/app/client/index.html"}'),
    ],
)
def test_images_come_one_by_one_where_no_plugin_is_told(tmp_path: Path, plugin: Answer) -> None:
    count, paths = fetched(tmp_path, plugin, Answer(status=500))
    assert (count, sorted(paths[2:])) == (2, ["/instances/8/file", "/instances/9/file"])


@pytest.mark.parametrize(
    "refusal", [Answer(status=403), Answer(status=404), Answer(status=406), Answer(body=b"{}"), handed_out()]
)
def test_images_come_one_by_one_where_the_plugin_hands_none_out(tmp_path: Path, refusal: Answer) -> None:
    count, paths = fetched(tmp_path, Answer(body=PLUGIN), refusal)
    assert (count, sorted(paths[3:])) == (2, ["/instances/8/file", "/instances/9/file"])


def test_an_image_that_the_plugin_passes_over_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"sent 1 of the 2 images of series 1\.3"):
        fetched(tmp_path, Answer(body=PLUGIN), handed_out(file("1.4.1")))


def test_half_an_answer_of_the_plugin_is_unavailable(tmp_path: Path) -> None:
    whole = handed_out(file("1.4.1"), file("1.4.2")).body
    assert isinstance(whole, bytes)
    with pytest.raises(ArchiveUnavailable, match=r"incomplete|closed the connection"):
        fetched(tmp_path, Answer(body=PLUGIN), Answer(body=whole[:-60], headers=MULTIPART))
