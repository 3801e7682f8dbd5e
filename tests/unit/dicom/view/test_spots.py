"""Each finding and measurement leads to the slice that shows it best."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.dicom import Grid, Overlay, WriteOptions, summarize
from orchestrator.domain.concepts import codes
from orchestrator.domain.result import Finding, ImageScore, Measurement, Region, Result, Segment
from tests.parts.dicom.written import Written, nothing, write_result


def growing(grid: Grid) -> Result:
    """A liver that is largest on the third slice, and a nodule on the first."""
    mask = np.zeros(grid.shape[:3], bool)
    mask[1, 2:4, 2:4] = True
    mask[2, 2:7, 3:9] = True
    nodule = Finding(
        codes["nodule"],
        score=0.9,
        regions=[Region.box(0, 4, 5, 8, 9, score=0.3), Region.box(3, 2, 2, 6, 6, score=0.8)],
    )
    return Result(
        segments=[Segment("Liver", mask, codes["liver"])],
        findings=[nodule],
        measurements=[Measurement(codes["mean"], 55.0, "[hnsf'U]", segment="Liver")],
    )


def image_scores(_grid: Grid) -> Result:
    nodule = Finding(codes["nodule"], score=0.9, images=[ImageScore(1, 0.4), ImageScore(3, 0.7)])
    return Result(findings=[nodule])


def spots(done: Written) -> dict[str, int]:
    overlay = Overlay.open(list(done.sources), done.paths)
    return {entry: spot.slice for entry, spot in overlay.spots.items()}


@pytest.fixture
def done(ct: list[Path], tmp_path: Path) -> Written:
    return write_result(ct, growing, tmp_path)


@pytest.mark.parametrize("label_map", [False, True])
def test_every_measurement_leads_to_the_largest_cross_section(ct: list[Path], tmp_path: Path, label_map: bool) -> None:
    done = write_result(ct, growing, tmp_path, options=WriteOptions(label_map=label_map))
    said, found = summarize(done.objects), spots(done)
    assert {found[f"measurements/{place}"] for place in range(len(said.measurements))} == {2}


def test_a_finding_leads_to_its_surest_region(done: Written) -> None:
    assert spots(done)["findings/0"] == 3


def test_a_finding_without_a_place_leads_to_its_best_image(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, image_scores, tmp_path)
    overlay = Overlay.open(list(done.sources), done.paths)
    assert (overlay.spots["findings/0"].slice, overlay.spots["findings/0"].box) == (3, None)


def test_what_has_no_place_leads_nowhere(ct: list[Path], tmp_path: Path) -> None:
    assert spots(write_result(ct, nothing, tmp_path)) == {}


def test_corners_stand_round_what_is_marked_and_only_on_its_slice(done: Written) -> None:
    overlay = Overlay.open(list(done.sources), done.paths)

    def differs(index: int) -> bool:
        plain, marked = (overlay.png(index, spot=spot) for spot in ("", "measurements/0"))
        return not np.array_equal(*(np.asarray(Image.open(BytesIO(png))) for png in (plain, marked)))

    assert [differs(index) for index in range(overlay.slices)] == [
        index == overlay.spots["measurements/0"].slice for index in range(overlay.slices)
    ]
