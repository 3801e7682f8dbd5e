"""Networks that give boxes, in real model processes; what they say is written, valid and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from orchestrator.app.models.locate import locate
from orchestrator.app.models.try_out import Trial, try_model
from orchestrator.config import load_settings
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import UnsupportedInput
from orchestrator.domain.result import Finding, Presence
from orchestrator.testing import Phantom
from orchestrator.worker import Workers, discover
from tests.integration.worker.child.networks import write_detector
from tests.integration.worker.conftest import Predict
from tests.parts.dicom.validators import assert_consistent, assert_valid, read_report

NODULE = """
[[finding]]
channel = CHANNEL
name = "lung nodule"
threshold = 0.5
"""
LABELLED = NODULE.replace("CHANNEL", "2")
ONE_CLASS = NODULE.replace("CHANNEL", "0")
SECOND_SCORE = NODULE.replace("CHANNEL", "1")
BOXES = 'detection = { boxes = "boxes", scores = "scores", labels = "labels" }'


@pytest.fixture
def image() -> npt.NDArray[np.float32]:
    """Five slices of 9 x 12; in the second and the fourth something is bright."""
    voxels = np.zeros((5, 9, 12), np.float32)
    voxels[1, 2:5, 3:9] = 0.75
    voxels[3, 0:4, 7:12] = 0.875
    return voxels


PLACES = [(3, (-0.5, 6.5, 3.5, 11.5), 0.875), (1, (1.5, 2.5, 4.5, 8.5), 0.75)]
"""Of the image: slice, (top, left, bottom, right) from pixel centres, score; the best first."""


def places(finding: Finding) -> list[tuple[int, tuple[float, ...], float | None]]:
    return [
        (region.slice, (*region.points.min(axis=0), *region.points.max(axis=0)), region.score)
        for region in finding.regions
    ]


@pytest.mark.parametrize(
    "how",
    [
        f"{BOXES}{LABELLED}",
        f'detection = {{ boxes = "boxes", scores = "scores" }}{ONE_CLASS}',
        f'detection = {{ boxes = "rows" }}{SECOND_SCORE}',
        f'detection = {{ boxes = "columns", layout = "columns" }}{SECOND_SCORE}',
        f"input = {{ patch = [16, 16] }}\n{BOXES}{LABELLED}",
        f"input = {{ orientation = 'IRA' }}\n{BOXES}{LABELLED}",
        f"input = {{ orientation = 'SAR' }}\n{BOXES}{LABELLED}",
        f"input = {{ orientation = 'SLP' }}\n{BOXES}{LABELLED}",
    ],
)
def test_each_box_lies_around_what_was_found(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.float32], how: str
) -> None:
    (finding,) = predict(write_detector(tmp_path / "m", how), image).result.findings
    assert (finding.name, finding.presence, finding.score) == (codes["lung nodule"], Presence.PRESENT, 0.875)
    assert places(finding) == PLACES


@pytest.mark.parametrize(("rest", "found"), [(LABELLED, []), (LABELLED.replace("2", "1"), [Presence.ABSENT])])
def test_a_class_without_a_box_is_absent_where_that_is_a_negative_result(
    predict: Predict, tmp_path: Path, rest: str, found: list[Presence]
) -> None:
    folder = write_detector(tmp_path / "m", BOXES + rest)
    if not found:
        manifest = folder / "model.toml"
        manifest.write_text(manifest.read_text().replace('empty = "negative"\n', ""))
    findings = predict(folder, np.zeros((2, 5, 5), np.float32)).result.findings
    assert [(finding.presence, finding.score, list(finding.regions)) for finding in findings] == [
        (presence, None, []) for presence in found
    ]


def test_a_box_in_a_volume_is_a_rectangle_on_the_slice_in_its_middle(predict: Predict, tmp_path: Path) -> None:
    voxels = np.zeros((8, 9, 12), np.float32)
    voxels[2:7, 2:5, 3:9] = 0.75
    rest = 'input = { orientation = "RAS" }\n' + BOXES.replace("}", ', order = "xyzxyz" }') + LABELLED
    (finding,) = predict(write_detector(tmp_path / "m", rest, axes=3), voxels).result.findings
    assert places(finding) == [(4, (1.5, 2.5, 4.5, 8.5), 0.75)]


def test_overlapping_windows_find_a_thing_once(predict: Predict, tmp_path: Path) -> None:
    voxels = np.zeros((1, 8, 12), np.float32)
    voxels[0, 2:5, 5:7] = 0.75
    rest = f"input = {{ patch = [8, 8], overlap = 0.5 }}\n{BOXES}{LABELLED}"
    (finding,) = predict(write_detector(tmp_path / "m", rest), voxels).result.findings
    assert places(finding) == [(0, (1.5, 4.5, 4.5, 6.5), 0.75)]


def test_boxes_in_slices_cut_across_the_images_can_be_drawn_on_none(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.float32]
) -> None:
    folder = write_detector(tmp_path / "m", f"input = {{ orientation = 'RAS' }}\n{BOXES}{LABELLED}")
    with pytest.raises(UnsupportedInput, match="slices of the model are not parallel to the images"):
        predict(folder, image)


REFUSED = [
    (BOXES.replace('"boxes"', '"boxez"') + LABELLED, 8, "the network has no output 'boxez', only 'boxes', 'scores', "),
    (BOXES.replace('"labels"', '"classes"') + LABELLED, 8, "the network has no output 'classes', only "),
    (BOXES.replace("}", ', order = "zyxzyx" }') + LABELLED, 8, "'zyxzyx' has 3 axes, the network takes slices"),
    (BOXES.replace('"boxes"', '"rows"') + LABELLED, 8, "output 'rows' has 6 numbers a box, expected 4"),
    (f'detection = {{ boxes = "boxes", scores = "scores" }}{LABELLED}', 10, "no channel 2, only channel 0"),
    (f'detection = {{ boxes = "rows" }}{LABELLED}', 10, "the network has no channel 2, only channels 0 to 1"),
    (f'detection = {{ boxes = "boxes" }}{ONE_CLASS}', 8, "output 'boxes' has 4 numbers a box, expected over 4"),
    (f'output = {{ name = "mask" }}{ONE_CLASS}', 8, "the network has no output 'mask', only 'boxes', "),
]


@pytest.mark.parametrize(("rest", "line", "sentence"), REFUSED, ids=[sentence for _, _, sentence in REFUSED])
def test_what_the_network_does_not_give_is_refused_with_its_line(
    tmp_path: Path, rest: str, line: int, sentence: str
) -> None:
    folder = write_detector(tmp_path / "m", rest)
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path)
    workers.close()
    error = workers.listing()[0].error
    assert error.startswith(f"{folder}/model.toml:{line}: ")
    assert sentence in error


PHANTOM = Phantom(slices=9, rows=32, columns=32, orientation="oblique", order="shuffled", intercept=-1024.0)
IN_CT = """
input = { modality = "CT", window = { min = 200, max = 400 }, scale = [0, 0.875] }
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """What the command line makes of a series whose lesion is known."""
    folder = tmp_path_factory.mktemp("run")
    PHANTOM.write(folder / "series")
    name, settings = locate(str(write_detector(folder / "lesion", IN_CT + BOXES + LABELLED)), load_settings(None, {}))
    return try_model(name, folder / "series", folder / "output", settings)


def report_of(tried: Trial) -> Path:
    (written,) = tried.report.outcomes[0].objects
    return written.path


def drawn(item: Dataset) -> list[Dataset]:
    below = item.get("ContentSequence", [])
    return [each for each in below if each.ValueType == "SCOORD"] + [found for each in below for found in drawn(each)]


def test_the_rectangles_in_the_report_are_the_boxes_of_the_lesion(tried: Trial) -> None:
    found: dict[str, Any] = {
        region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID: (
            np.array(region.GraphicData).reshape(-1, 2)[:, ::-1]
        )
        for region in drawn(dcmread(report_of(tried)))
    }
    expected = {}
    for index in np.flatnonzero(PHANTOM.mask.any(axis=(1, 2))).tolist():
        inside = np.argwhere(PHANTOM.mask[index])
        expected[PHANTOM.uid("image", "CT", index, 0, 0)] = (inside.min(axis=0), inside.max(axis=0) + 1)
    assert found.keys() == expected.keys()
    for uid, (first, last) in expected.items():
        assert (found[uid].min(axis=0).tolist(), found[uid].max(axis=0).tolist()) == (first.tolist(), last.tolist())


def test_the_report_passes_the_validators(tried: Trial) -> None:
    sources = sorted((tried.pictures[0].parent.parent / "series").iterdir())
    assert_valid(report_of(tried), sources[0])
    assert_consistent(sources, [report_of(tried)])
    assert len(read_report(report_of(tried))["Measurements"]) == PHANTOM.mask.any(axis=(1, 2)).sum()


def test_the_finding_has_the_score_of_its_best_box(tried: Trial) -> None:
    (finding,) = tried.report.outcomes[0].findings
    assert (finding["name"], finding["value"], finding["score"]) == ("Solitary nodule of lung", "present", 0.875)


def test_the_picture_shows_the_rectangle(tried: Trial) -> None:
    pixels = np.asarray(Image.open(tried.pictures[0]).convert("RGB")).astype(int)
    coloured = np.argwhere(np.ptp(pixels, axis=2) > 100)
    assert len(coloured) > 500
