"""A result whose pictures are drawn from the DICOM objects that were written, seen in a browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from orchestrator.app.service.web import ResultPictures
from orchestrator.dicom import WriteOptions, gather, plan, read_instance, summarize, write_objects
from orchestrator.domain.concepts import codes
from orchestrator.domain.job import JobState, Priority, job_key
from orchestrator.domain.model import Accepts, ModelDescription
from orchestrator.domain.records import JobRecord, SeriesRecord, SeriesState
from orchestrator.domain.result import Finding, HeatMap, Result, Segment, Urgency
from orchestrator.domain.series import series_digest
from orchestrator.ledger import Ledger
from orchestrator.testing import SyntheticSeries, synthetic_series
from orchestrator.web import Pictures
from tests.docs.pages import ROOT, blocks

MODEL = ModelDescription(name="phantom-lesion", version="1.2.0", digest="ab" * 32, manufacturer="Example")
COLOUR = (255, 90, 60)


@pytest.fixture
def pictures(room) -> Pictures:
    return ResultPictures(room.ledger)


@pytest.fixture
def lesion(room, tmp_path: Path) -> JobRecord:
    """A CT of 40 slices with a lesion, its SEG and SR written as in production."""
    return written(room.ledger, tmp_path)


@pytest.fixture
def heat(room, tmp_path: Path) -> JobRecord:
    """The same CT with the map that the model of docs/how-to/heat-map.md makes of it."""
    (shown,) = blocks("python", pages=(ROOT / "docs/how-to/heat-map.md",))
    plugin: dict[str, Any] = {}
    exec(shown.text, plugin)
    return written(room.ledger, tmp_path, lambda series: plugin["Dense"]().predict(series.read()))


@pytest.fixture
def two_maps(room, tmp_path: Path) -> JobRecord:
    """The same CT with a map that is high everywhere and one that is low everywhere."""

    def flow_and_volume(series: SyntheticSeries) -> Result:
        flow = np.full(series.read().shape, 1.0, np.float32)
        volume = HeatMap("Blood volume", np.zeros_like(flow), "ml/(100.g)", range=(0, 4))
        return Result(maps=[HeatMap("Blood flow", flow, "ml/(100.g.min)", range=(0, 1)), volume])

    return written(room.ledger, tmp_path, flow_and_volume)


def marked(series: SyntheticSeries) -> Result:
    """Return a segment on the lesion and a finding that it shows."""
    finding = Finding(codes["mass"], score=0.91, urgency=Urgency.IMMEDIATE, segment="Lesion")
    return Result((Segment("Lesion", series.mask, codes["mass"], colour=COLOUR),), (finding,))


def written(
    ledger: Ledger, folder: Path, result_of: Callable[[SyntheticSeries], Result] = marked, **phantom: object
) -> JobRecord:
    made = synthetic_series(
        folder / "in", **{"slices": 40, "rows": 256, "columns": 256, "intercept": -1024.0, **phantom}
    )
    instances = [read_instance(path) for path in made.paths]
    series, now = gather(instances), datetime.now(UTC)
    record = SeriesRecord(
        series_uid=series.series_uid,
        revision=1,
        study_uid=series.study_uid,
        state=SeriesState.RELEASED,
        instance_count=len(instances),
        digest=series_digest(instances),
        modality="CT",
        complete_by="count",
        first_seen=now,
    )
    ledger.series.put(record, instances)
    job = JobRecord(
        key=job_key(instances, MODEL),
        series_uid=series.series_uid,
        revision=1,
        study_uid=series.study_uid,
        model=MODEL.name,
        model_version=MODEL.version,
        model_digest=MODEL.digest,
        rule="lesions on CT",
        priority=Priority.STAT,
        created_at=now,
        updated_at=now,
    )
    ledger.jobs.add(job)
    (grid,) = plan(series, Accepts())
    (folder / "out").mkdir()
    objects = write_objects(
        [(grid, result_of(made))], job=job, model=MODEL, folder=folder / "out", options=WriteOptions()
    )
    summary = summarize(objects)
    ledger.objects.put(job.key, objects)
    ledger.jobs.annotate(
        job.key, findings=summary.findings, measurements=summary.measurements, urgency=summary.urgency, device="cpu"
    )
    for state in (JobState.RUNNING, JobState.DELIVERING):
        ledger.jobs.move(job.key, state)
    ledger.reviews.open(job.key, now)
    return ledger.jobs.get(job.key)


def test_the_worklist_shows_what_the_report_says(page: Page, lesion: JobRecord):
    page.goto("/")
    row = page.locator(f"[data-key='{lesion.key}']")
    expect(row).to_contain_text("present, score 0.91")
    expect(row).to_contain_text(re.compile(r"Lesion [\d.,]+ ml"))
    expect(row).to_contain_text("Immediate: act within minutes")
    expect(row.locator("img")).not_to_have_js_property("naturalWidth", 0)


def test_the_slice_shows_the_lesion_in_its_colour(page: Page, lesion: JobRecord):
    page.goto(f"/results/{lesion.key}")
    with_outline = painted(page, "?opacity=100")
    page.goto(f"/results/{lesion.key}")
    assert with_outline > 500
    assert painted(page, "?opacity=0&outline=false") < with_outline / 3


def test_a_heat_map_is_seen_in_colours_and_goes_with_the_overlay(
    page: Page, heat: JobRecord, photograph: Callable[[Page, str], Path]
):
    page.goto(f"/results/{heat.key}")
    expect(page.locator(".legend")).to_contain_text("Dense tissue 0 to 1")
    expect(page.locator(".legend svg.scale")).to_be_visible()
    with_map = painted(page, "?opacity=100", yellow)
    assert with_map > 500
    assert painted(page, "?opacity=0&outline=false", yellow) < with_map / 3  # the banner is yellow too
    page.locator("#opacity").fill("70")
    expect(page.locator("#slice")).to_have_attribute("src", re.compile("opacity=70"))
    photograph(page, "heat-map")
    page.locator("#overlay").uncheck()
    expect(page.locator("#slice")).to_have_attribute("src", re.compile("opacity=0&outline=false"))


def test_the_reader_chooses_among_the_maps_of_a_model(page: Page, two_maps: JobRecord):
    page.goto(f"/results/{two_maps.key}")
    expect(page.locator(".legend li:visible")).to_have_text([re.compile("Blood flow 0 to 1")])
    assert painted(page, "?opacity=100", yellow) > 10 * painted(page, "?opacity=100&map=1", yellow)
    page.get_by_label("Map", exact=True).select_option("Blood volume")
    expect(page.locator("#slice")).to_have_attribute("src", re.compile("map=1"))
    expect(page.locator(".legend li:visible")).to_have_text([re.compile("Blood volume 0 to 4")])


def red(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] - pixels[..., 2] > 120


def yellow(pixels: np.ndarray) -> np.ndarray:
    return red(pixels) & (pixels[..., 1] > 150)


def painted(page: Page, query: str, like: Callable[[np.ndarray], np.ndarray] = red) -> int:
    """Return how many pixels of the best slice are of a colour, that of the lesion where no other is named."""
    viewer = page.locator("#viewer")
    address = f"{viewer.get_attribute('data-source')}{viewer.get_attribute('data-best')}.png{query}"
    pixels = np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB")).astype(int)
    return int(like(pixels).sum())


def test_the_stored_window_is_where_dragging_starts(page: Page, lesion: JobRecord):
    page.goto(f"/results/{lesion.key}")
    width = int(page.locator("#width").get_attribute("placeholder"))
    stage = page.locator("#stage").bounding_box()
    page.mouse.move(stage["x"] + 200, stage["y"] + 200)
    page.mouse.down()
    page.mouse.move(stage["x"] + 260, stage["y"] + 200)
    page.mouse.up()
    expect(page.locator("#width")).to_have_value(str(round(width * 1.2)))


def test_the_result_is_photographed(page: Page, lesion: JobRecord, photograph: Callable[..., Path]):
    page.goto(f"/results/{lesion.key}")
    expect(page.locator("#slice")).not_to_have_js_property("naturalWidth", 0)
    assert photograph(page, "result-lesion").stat().st_size > 10_000
