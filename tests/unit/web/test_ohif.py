"""The viewer's files as they are served, and the links that lead to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI

from orchestrator.archive import dicomweb_peer
from orchestrator.archive.http.client import Access
from orchestrator.domain.errors import SettingsError
from orchestrator.domain.records import ObjectKind
from orchestrator.web import Ohif, Permission, create_app
from tests.data.reading_room import Drawings, ReadingRoom, fill, uid
from tests.parts.ohif import hollow_viewer


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Ohif]:
    peer = dicomweb_peer("orthanc+http://127.0.0.1:8042", name="pacs", access=Access())
    assert peer is not None
    with peer.session() as session:
        yield Ohif.of(hollow_viewer(tmp_path / "dist"), session)


@pytest.fixture
def app(room: ReadingRoom, viewer: Ohif) -> FastAPI:
    return create_app(room.ledger, pictures=Drawings(), models={}, ohif_viewer=viewer)


def test_a_folder_without_the_viewer_is_refused_by_name(tmp_path: Path, viewer: Ohif):
    with pytest.raises(SettingsError, match="run make viewer"):
        Ohif.of(tmp_path / "nothing", viewer.archive)


def test_a_viewer_of_another_build_is_refused(tmp_path: Path, viewer: Ohif):
    folder = hollow_viewer(tmp_path / "other")
    (folder / "app.bundle.0123.js").write_text("something else")
    with pytest.raises(SettingsError, match="no supported OHIF viewer"):
        Ohif.of(folder, viewer.archive)


def test_its_scripts_and_styles_are_told_where_they_live(visitor):
    assert '__webpack_require__.p = "/viewer/";' in visitor.get("/viewer/app.bundle.0123.js").text
    assert "url(/viewer/font.woff2)" in visitor.get("/viewer/app.bundle.css").text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.bundle.0123.js", "text/javascript; charset=utf-8"),
        ("decoder.wasm", "application/wasm"),
        ("assets/logo.png", "image/png"),
    ],
)
def test_each_file_has_its_type_and_is_kept_for_a_day(visitor, name: str, kind: str):
    answer = visitor.get(f"/viewer/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "private, max-age=86400"


@pytest.mark.parametrize(
    "name", ["app-config.js", "sw.js", "index.html", "app.bundle.0123.js.map", "..%2F..%2Fledger.db", "local", ""]
)
def test_nothing_else_of_the_folder_is_served(visitor, name: str):
    assert visitor.get(f"/viewer/{name}").status_code == 404


def test_the_page_loads_our_settings_and_no_inline_script(visitor):
    page = visitor.get(f"/viewer/viewer?StudyInstanceUIDs={uid('study brain')}").text
    assert '<script src="/static/ohif.js' in page
    assert '<script defer src="/viewer/app.bundle.0123.js"></script>' in page
    assert page.count("<script") == 2


@pytest.mark.parametrize("path", ["viewer", "app.bundle.0123.js"])
def test_the_viewer_reaches_no_other_origin(visitor, path: str):
    policy = visitor.get(f"/viewer/{path}").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' blob: data:;" in policy
    assert "script-src 'self' 'unsafe-eval';" in policy
    assert "http" not in policy


def test_its_policy_is_its_own(visitor):
    assert "unsafe" not in visitor.get("/").headers["content-security-policy"]
    assert "unsafe" not in visitor.get("/static/ohif.js").headers["content-security-policy"]


def test_its_settings_name_nothing_outside(visitor):
    settings = visitor.get("/static/ohif.js").text
    assert "://" not in settings
    assert "showStudyList: false" in settings


def test_a_result_opens_with_its_segmentation(viewer: Ohif, room: ReadingRoom):
    job = room.result("brain")
    query = parse_qs(urlsplit(viewer.address(job.study_uid, room.ledger.objects.of_job(job.key))).query)
    seg = next(each for each in room.ledger.objects.of_job(job.key) if each.kind is ObjectKind.SEG)
    assert query == {"StudyInstanceUIDs": [job.study_uid], "initialSeriesInstanceUID": [seg.series_uid]}


@pytest.mark.parametrize("page", ["result", "study"])
def test_pages_lead_to_the_viewer(visitor, room: ReadingRoom, page: str):
    job = room.result("brain")
    text = visitor.get(f"/results/{job.key}" if page == "result" else f"/studies/{job.study_uid}").text
    assert f'href="/viewer/viewer?StudyInstanceUIDs={job.study_uid}' in text


@pytest.mark.parametrize("page", ["result", "study"])
def test_no_page_leads_to_a_viewer_that_is_not_set_up(visitor, room: ReadingRoom, page: str):
    job = room.result("brain")
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={})
    assert "OHIF" not in visitor.get(f"/results/{job.key}" if page == "result" else f"/studies/{job.study_uid}").text


@pytest.mark.parametrize(
    "path",
    ["/viewer/viewer", "/viewer/decoder.wasm", "/viewer/dicom-web/studies", "/viewer/dicom-web/studies/1/series"],
)
def test_without_a_viewer_its_addresses_hold_nothing(visitor, room: ReadingRoom, path: str):
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={})
    assert visitor.get(f"/viewer/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/viewer/viewer", "/viewer/decoder.wasm", "/viewer/dicom-web/studies"])
def test_only_who_may_see_results_may_see_images(visitor, room: ReadingRoom, viewer: Ohif, path: str):
    fill(room)
    visitor.app = create_app(
        room.ledger,
        pictures=Drawings(),
        models={},
        ohif_viewer=viewer,
        may=lambda _, asked: asked is Permission.PUBLIC,
    )
    assert visitor.get(path).status_code == 403
