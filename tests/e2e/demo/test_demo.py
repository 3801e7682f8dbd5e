"""make demo ONCE=1, as its user runs it: every object through outside validators, the pages in a browser."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread

from orchestrator.app.batch import run
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.service.web import open_pages
from orchestrator.web import Server
from tests.parts.archive.dcmtk import free_port
from tests.parts.dicom.validators import assert_consistent, assert_valid, read_masks
from tests.parts.service import run_command, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = run_command("demo", "--output", folder, "--once", timeout_seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def review(output: Path) -> Iterator[str]:
    """The review pages over the demo's ledger."""
    port = free_port()
    with open_pages(run.settings_for(output / "results", settings_of(None))) as app:
        server = Server(app, port=port)
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_for(lambda: server.started, "the pages are served")
        yield f"http://localhost:{port}"
        server.should_exit = True
        thread.join()


def by_series(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.dcm")):
        if ".orchestrator" not in path.parts:
            found.setdefault(dcmread(path, stop_before_pixels=True).StudyInstanceUID, []).append(path)
    return found


def test_every_object_of_the_demo_passes_the_outside_validators(output: Path) -> None:
    sources, results = by_series(output / "archive"), by_series(output / "results")
    assert set(results) == set(sources)
    for study, objects in results.items():
        for path in objects:
            assert_valid(path, sources[study][0])
        assert_consistent(sources[study], objects)


def test_the_brain_mask_is_one_plausible_brain_for_another_reader(output: Path) -> None:
    segs = [
        path for paths in by_series(output / "results").values() for path in paths if dcmread(path).Modality == "SEG"
    ]
    brain = next(mask for path in segs for mask in read_masks(path) if mask.label == "Brain")
    millilitres = len(brain.points) * brain.voxel_ml
    assert 1000 < millilitres < 2200


def test_the_page_shows_a_picture_of_each_result(output: Path, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1366, "height": 900})
    page.goto((output / "index.html").as_uri())
    images = page.locator("article img")
    assert images.count() == page.locator("article").count() == 4
    drawn = images.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 300)")
    assert drawn
    expect(page.locator("body")).to_contain_text("not verified")
    take(page, "demo", full=True)
    page.close()


def test_a_radiologist_finds_the_result_and_accepts_it(review: str, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1366, "height": 768})
    page.goto(review)
    take(page, "worklist")
    page.get_by_role("link", name=re.compile("brain-mask")).first.click()
    image = page.locator("img").first
    expect(image).to_be_visible()
    wait_for(lambda: image.evaluate("one => one.complete && one.naturalWidth > 100"), "the slice is drawn")
    take(page, "result")
    page.get_by_label("Your name").fill("Dr. Test")
    page.get_by_label("Organization").fill("Test Hospital")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("body")).to_contain_text("Dr. Test")
    page.close()


def take(page: Page, name: str, *, full: bool = False) -> None:
    """Keep a picture of the page for the documentation where DOCS_PICTURES=1 asks for it, else as an artefact."""
    folder = PICTURES if os.environ.get("DOCS_PICTURES") == "1" else PICTURES.parents[1] / "test-output"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=full)
