"""What a radiologist sees of our results in OHIF: its pixels are looked at, not its state."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom import Dataset, dcmread

from orchestrator.domain.records import ObjectKind
from tests.e2e.ohif.conftest import CASES, GREEN, MAGENTA, ORANGE, PATIENCE_MS, Case, Hospital
from tests.parts.dicom.written import MODEL
from tests.parts.service import wait_for

WITH_SEGMENTS = [name for name in CASES if "segment" in name]
WITH_PLACES = [*WITH_SEGMENTS, "with and without a place"]
AS_TEXT = ["image by image", "nothing found"]
OUTLINE = (0, 255, 0)
"""OHIF's own colour of what a report draws."""
BANNER = (255, 196, 60)
VOLUME = "118565006"  # SCT

Photograph = Callable[[Page, str], Path]


def open_viewer(page: Page, hospital: Hospital, case: Case, *kinds: ObjectKind) -> None:
    """Open the case's study with the first of these objects, and put away the notice of OHIF's own."""
    page.goto(hospital.viewer.address(case.job.study_uid, [case.object_of(kind) for kind in kinds]))
    confirm(page)
    expect(page.locator("[data-cy=series-description-label]")).to_contain_text([f"UNVERIFIED {MODEL.name} SR"])


def confirm(page: Page) -> None:
    expect(page.get_by_text("for investigational use only")).to_be_visible()
    page.get_by_role("button", name="Confirm and hide").click()


def painted(page: Page, colour: tuple[int, int, int]) -> int:
    """Return how many pixels of the picture have that colour, nearly."""
    png = page.locator("[data-cy=viewport-pane]").first.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=-1) < 30).sum())


def wait_until_painted(page: Page, *colours: tuple[int, int, int]) -> None:
    for colour in colours:
        wait_for(lambda colour=colour: painted(page, colour) > 60, f"{colour} is drawn", PATIENCE_MS / 1000)


def segment_colours(case: Case) -> list[tuple[int, int, int]]:
    return [ORANGE, GREEN, MAGENTA][: len(case.written.read(ObjectKind.SEG).SegmentSequence)]


@pytest.mark.parametrize("name", WITH_SEGMENTS)
def test_a_segmentation_is_drawn_in_its_colours_and_can_be_hidden(
    page: Page, hospital: Hospital, name: str, photograph: Photograph
):
    case = hospital.cases[name]
    open_viewer(page, hospital, case, ObjectKind.SEG)
    page.locator("[data-cy=panelSegmentation-btn]").click()
    wait_until_painted(page, *segment_colours(case))
    photograph(page, f"seg {name}")
    page.locator("[data-cy=all-segments-visibility-toggle]").click()
    for colour in segment_colours(case):
        wait_for(lambda colour=colour: painted(page, colour) < 20, f"{colour} is hidden", PATIENCE_MS / 1000)


@pytest.mark.parametrize("name", WITH_PLACES)
def test_the_outline_of_a_report_is_drawn_on_its_image_with_the_numbers_of_the_model(
    page: Page, hospital: Hospital, name: str, photograph: Photograph
):
    case = hospital.cases[name]
    report = case.written.read(ObjectKind.SR)
    open_viewer(page, hospital, case, ObjectKind.SR)
    wait_until_painted(page, OUTLINE)
    expect(page.locator("[data-cy=viewport-overlay-bottom-right]")).to_contain_text(
        place_of_first_outline(case, report)
    )
    expect(page.locator("svg.svg-layer")).to_contain_text(re.compile(rf"Volume: {first_volume(report):.2f} ml"))
    photograph(page, f"sr {name}")


@pytest.mark.parametrize("name", AS_TEXT)
def test_a_report_without_a_place_is_shown_as_text(page: Page, hospital: Hospital, name: str, photograph: Photograph):
    case = hospital.cases[name]
    open_viewer(page, hospital, case, ObjectKind.SR)
    said = {"image by image": "Pneumothorax: present in 2 of 12 images", "nothing found": "Nothing found: Liver."}
    expect(page.locator("[data-cy=viewport-pane]")).to_contain_text("AI analysis result, unverified")
    expect(page.locator("[data-cy=viewport-pane]")).to_contain_text(said[name])
    photograph(page, f"sr {name}")


def test_a_key_image_warns_in_its_pixels(page: Page, hospital: Hospital, photograph: Photograph):
    open_viewer(page, hospital, hospital.cases["one segment"], ObjectKind.SC)
    wait_until_painted(page, BANNER, ORANGE)
    photograph(page, "key image")


def test_a_result_leads_to_its_segmentation_and_its_series_say_that_nobody_verified_them(
    page: Page, hospital: Hospital
):
    case = hospital.cases["one segment"]
    page.goto(f"/results/{case.job.key}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open in OHIF").click()
    viewer = opened.value
    confirm(viewer)
    expect(viewer.locator("[data-cy=series-description-label]")).to_have_text(
        ["CT phantom", *(f"AI UNVERIFIED {MODEL.name} {kind}" for kind in ("key image", "SEG", "SR"))]
    )
    wait_until_painted(viewer, ORANGE)
    viewer.close()


def place_of_first_outline(case: Case, report: Dataset) -> re.Pattern[str]:
    """Return what OHIF says of the image on which the report draws first: its number, or that of the frame."""
    image = next(items(report, "SCOORD")).ContentSequence[0].ReferencedSOPSequence[0]
    if "ReferencedFrameNumber" in image:
        return re.compile(rf"\({image.ReferencedFrameNumber}/")
    headers = map(dcmread, case.written.sources)
    number = next(each.InstanceNumber for each in headers if each.SOPInstanceUID == image.ReferencedSOPInstanceUID)
    return re.compile(rf"I:\s*{number} ")


def items(report: Dataset, kind: str) -> Iterator[Dataset]:
    """Yield the content items of this value type, in their order."""
    for item in report.get("ContentSequence", []):
        if item.ValueType == kind:
            yield item
        yield from items(item, kind)


def first_volume(report: Dataset) -> float:
    """Return the volume of the first segment that the report names, in ml."""
    (first, *_) = (item for item in items(report, "NUM") if item.ConceptNameCodeSequence[0].CodeValue == VOLUME)
    return float(first.MeasuredValueSequence[0].NumericValue)
