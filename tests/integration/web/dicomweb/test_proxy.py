"""What the viewer may ask of the archive, and what comes of it, between the real application and an HTTP server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.archive import dicomweb_peer
from orchestrator.archive.http.client import Access
from orchestrator.ledger import Ledger
from orchestrator.web import Ohif, create_app
from orchestrator.web.dicomweb.proxy import ROOT
from tests.data.reading_room import Drawings, ReadingRoom, uid
from tests.parts.archive.web_server import Answer, Request, web_server
from tests.parts.ohif import hollow_viewer

STUDY = uid("study brain")
OTHER = uid("study of elsewhere")
PART = f"{ROOT}/studies/{STUDY}"
Ask = Callable[..., httpx.Response]


class Archive:
    """Answers each path below /rs as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.answers: dict[str, Answer] = {}

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.answers.get(request.path.removeprefix("/rs"), Answer(404))

    def says(self, path: str, found: Any) -> None:
        """Answer that path with JSON."""
        self.answers[path] = Answer(200, json.dumps(found).encode(), {"Content-Type": "application/dicom+json"})


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def ask(archive: Archive, tmp_path: Path) -> Iterator[Ask]:
    """Asks the application, which knows one study, as the viewer does."""
    with ExitStack() as stack:
        port = stack.enter_context(web_server(archive))
        access = Access(username="host", password="secret", timeout_seconds=60)
        peer = dicomweb_peer(f"dicomweb+http://127.0.0.1:{port}/rs", name="pacs", access=access)
        assert peer is not None
        ledger = stack.enter_context(closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")))
        ReadingRoom(ledger).series("brain")
        viewer = Ohif.of(hollow_viewer(tmp_path / "ohif"), stack.enter_context(peer.session()))
        app = create_app(ledger, pictures=Drawings(), models={}, ohif_viewer=viewer)

        async def one(method: str, path: str, **headers: str) -> httpx.Response:
            wire = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
                return await client.request(method, path, headers=headers)

        yield lambda path, method="GET", **headers: asyncio.run(one(method, path, **headers))


def study(uid_: str) -> dict[str, Any]:
    return {"0020000D": {"vr": "UI", "Value": [uid_]}}


def test_pixels_come_as_the_archive_sends_them(ask: Ask, archive: Archive):
    kind = 'multipart/related; type="application/octet-stream"; boundary=x'
    archive.answers[f"/studies/{STUDY}/series/1.2/instances/1.3/frames/1,2"] = Answer(
        200, iter([b"--x", b"pixels"]), {"Content-Type": kind}
    )
    answer = ask(f"{PART}/series/1.2/instances/1.3/frames/1,2", accept="multipart/related")
    assert (answer.content, answer.headers["content-type"]) == (b"--xpixels", kind)
    assert archive.asked[0].headers["accept"] == "multipart/related"


def test_the_password_of_the_archive_stays_here(ask: Ask, archive: Archive):
    archive.says(f"/studies/{STUDY}/series", [])
    answer = ask(f"{PART}/series", authorization="Basic of-the-visitor", cookie="a=b")
    assert archive.asked[0].headers["authorization"] == "Basic aG9zdDpzZWNyZXQ="
    assert "cookie" not in archive.asked[0].headers
    assert "authorization" not in answer.headers


def test_addresses_of_the_archive_become_ours(ask: Ask, archive: Archive):
    inside = {"7FE00010": {"vr": "OW", "BulkDataURI": f"http://10.0.0.5/studies/rs/studies/{STUDY}/bulk/7fe00010"}}
    held = {
        "00081190": {"vr": "UR", "Value": [f"http://10.0.0.5/rs/studies/{STUDY}"]},
        "00404096": {"vr": "SQ", "Value": [inside]},
        "00100020": {"vr": "LO", "Value": ["/studies/"]},
    }
    archive.says(f"/studies/{STUDY}/metadata", [held])
    (shown,) = ask(f"{PART}/metadata").json()
    assert shown["00404096"]["Value"][0]["7FE00010"]["BulkDataURI"] == f"{PART}/bulk/7fe00010"
    assert shown["00081190"]["Value"] == [PART]
    assert shown["00100020"]["Value"] == ["/studies/"]


@pytest.mark.parametrize(
    "below",
    ["series", "metadata", "series/1.2/metadata", "series/1.2/instances", "series/1.2/instances/1.3/metadata"],
)
def test_what_describes_a_study_can_be_asked_for(ask: Ask, archive: Archive, below: str):
    archive.says(f"/studies/{STUDY}/{below}", [study(STUDY)])
    assert ask(f"{PART}/{below}").json() == [study(STUDY)]


@pytest.mark.parametrize(
    "below",
    [
        *("series/1.2", "series/1.2/instances/1.3", "series/1.2/instances/1.3/frames/7"),
        *("series/1.2/instances/1.3/bulk/7fe00010", "bulkdata/00420011/a.b", "instances/1.3/bulkdata/x/1/y"),
    ],
)
def test_what_a_study_holds_can_be_asked_for(ask: Ask, archive: Archive, below: str):
    archive.answers[f"/studies/{STUDY}/{below}"] = Answer(200, b"bytes", {"Content-Type": "application/octet-stream"})
    assert ask(f"{PART}/{below}").content == b"bytes"


@pytest.mark.parametrize(
    "below",
    [
        *("", "rendered", "series/1.2/thumbnail", "series/1.2/instances/1.3/frames/1/rendered"),
        *("series/%2e%2e", "series/1.2/%2e%2e", "..%2F..%2Fsystem", "bulk/..%2Fx"),
        *(
            "series/1.2/instances/1.3/frames/all",
            "bulk",
            "bulk/a//b",
            "bulk/%2e%2e/x",
            "series/1.2%3Fx",
            "workitems",
            "series/1..2/metadata",
        ),
    ],
)
def test_nothing_else_reaches_the_archive(ask: Ask, archive: Archive, below: str):
    assert ask(f"{PART}/{below}").status_code == 404
    assert archive.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [f"{ROOT}/studies", PART, f"{PART}/series/1.2"])
def test_nothing_is_ever_written(ask: Ask, archive: Archive, method: str, path: str):
    assert ask(path, method, **{"content-length": "0"}).status_code in {404, 405}
    assert archive.asked == []


def test_a_study_that_did_not_arrive_here_is_not_shown(ask: Ask, archive: Archive):
    archive.says(f"/studies/{OTHER}/metadata", [study(OTHER)])
    assert ask(f"{ROOT}/studies/{OTHER}/metadata").status_code == 404
    assert archive.asked == []


@pytest.mark.parametrize(
    "query",
    [
        *("", "limit=100", "PatientName=*", "00100020=*", "00100020=4711", "StudyDate=1-"),
        *("StudyInstanceUID=1.2,1.3", f"StudyInstanceUID={OTHER}", "StudyInstanceUID=*"),
    ],
)
def test_nobody_lists_the_archive(ask: Ask, archive: Archive, query: str):
    archive.says("/studies", [study(STUDY)])
    assert ask(f"{ROOT}/studies?{query}").status_code == 404
    assert archive.asked == []


def test_a_search_shows_the_one_study_that_it_names(ask: Ask, archive: Archive):
    archive.says("/studies", [study(OTHER), study(STUDY), {}])
    query = f"StudyInstanceUID={STUDY}&limit=5&fuzzymatching=true&ModalitiesInStudy=CT&00100020=4711"
    found = ask(f"{ROOT}/studies?{query}").json()
    assert found == [study(STUDY)]
    assert set(archive.asked[0].query) == {"StudyInstanceUID", "limit"}


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        (Answer(503), 504, "archive 'pacs'"),
        (Answer(401), 502, "check username and password_file"),
        (Answer(302, headers={"Location": "http://elsewhere/"}), 502, "not followed"),
        (Answer(200, b"<html>", {"Content-Type": "text/html"}), 502, "what is no image"),
        (Answer(404), 404, ""),
    ],
)
def test_what_goes_wrong_there_is_said(ask: Ask, archive: Archive, given: Answer, status: int, words: str):
    archive.answers[f"/studies/{STUDY}/series/1.2"] = given
    answer = ask(f"{PART}/series/1.2")
    assert (answer.status_code, words in answer.text) == (status, True)


@pytest.mark.parametrize("found", [{"error": "no"}, ["no"]])
def test_json_that_is_no_list_of_data_sets_is_refused(ask: Ask, archive: Archive, found: Any):
    archive.says(f"/studies/{STUDY}/series", found)
    assert ask(f"{PART}/series").status_code == 502


def test_a_part_is_not_taken_for_the_whole(ask: Ask, archive: Archive):
    kind = {"Content-Type": "application/octet-stream"}
    archive.answers[f"/studies/{STUDY}/series/1.2"] = Answer(200, b"half", kind, length=8)
    with pytest.raises(Exception, match="closed the connection within"):
        ask(f"{PART}/series/1.2")


def test_no_patient_is_named_in_the_log(ask: Ask, archive: Archive, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    archive.answers["/studies"] = Answer(500, b"no patient 4711")
    ask(f"{ROOT}/studies?StudyInstanceUID={STUDY}&00100020=4711")
    assert "the viewer gets no answer" in caplog.text
    assert "4711" not in "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("orchestrator"))
