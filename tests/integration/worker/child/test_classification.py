"""Networks that give scores: of the series, or image by image; what they say is written, valid and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper
from PIL import Image

from orchestrator.app.models.locate import locate
from orchestrator.app.models.try_out import Trial, try_model
from orchestrator.config import load_settings
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import UnsupportedInput
from orchestrator.domain.result import ImageScore, Presence
from orchestrator.testing import Phantom
from orchestrator.worker import Workers, discover
from tests.integration.worker.child.networks import write_model
from tests.integration.worker.conftest import Predict
from tests.parts.dicom.validators import assert_consistent, assert_valid

BRIGHTEST = [
    helper.make_node("ReduceMax", ["x"], ["most"], axes=[2, 3], keepdims=0),
    helper.make_node("Mul", ["most", "weight"], ["part"]),
    helper.make_node("Concat", ["part", "most"], ["y"], axis=1),
]
"""Gives two scores: half of the brightest pixel and the brightest pixel."""
FINDING = """
[[finding]]
channel = 1
name = "pneumothorax"
threshold = 0.5
"""


def brightest(folder: Path, rest: str) -> Path:
    return write_model(folder, rest + FINDING, BRIGHTEST, 2, channels=-2, weight=[0.5])


def slices(*peaks: float) -> npt.NDArray[np.float32]:
    """Return slices of 8 x 8 that are as bright as told in one corner."""
    images = np.zeros((len(peaks), 8, 8), np.float32)
    images[:, 1, 1] = peaks
    return images


def scored(*images: tuple[int, float]) -> list[ImageScore]:
    return [ImageScore(index, score) for index, score in images]


@pytest.mark.parametrize(
    "how",
    [
        "input = { geometry = 'volume' }",
        "input = { orientation = 'SPL' }",
        "input = { orientation = 'IRA' }",
        "input = { patch = [4, 4] }",
        "input = { patch = [4, 4], overlap = 0.5 }",
        "input = { size = [8, 8] }",
    ],
)
def test_image_by_image_the_images_that_reach_the_threshold_are_named(
    predict: Predict, tmp_path: Path, how: str
) -> None:
    model = brightest(tmp_path / "m", how + "\noutput = { per = 'image' }")
    (finding,) = predict(model, slices(0.25, 0.5, 0.0, 0.75)).result.findings
    assert (finding.name, finding.presence, finding.score) == (codes["pneumothorax"], Presence.PRESENT, 0.75)
    assert sorted(finding.images, key=lambda image: image.slice) == scored((1, 0.5), (3, 0.75))


def test_no_image_that_reaches_the_threshold_is_an_absence(predict: Predict, tmp_path: Path) -> None:
    model = brightest(tmp_path / "m", "output = { per = 'image' }")
    (finding,) = predict(model, slices(0.25, 0.375)).result.findings
    assert (finding.presence, finding.score, finding.images) == (Presence.ABSENT, 0.375, ())


def test_a_thick_slice_of_the_network_names_the_image_in_its_middle(predict: Predict, tmp_path: Path) -> None:
    model = brightest(tmp_path / "m", "input = { spacing = [6, 1, 1] }\noutput = { per = 'image' }")
    (finding,) = predict(model, slices(0, 0, 0, 0.75, 0.75, 0.75, 0, 0, 0)).result.findings
    assert [image.slice for image in finding.images] == [4]


@pytest.mark.parametrize(("aggregate", "score"), [("maximum", 0.75), ("mean", 0.375)])
def test_the_scores_of_all_images_become_one(predict: Predict, tmp_path: Path, aggregate: str, score: float) -> None:
    model = brightest(tmp_path / "m", f"output = {{ aggregate = '{aggregate}' }}")
    (finding,) = predict(model, slices(0.25, 0.5, 0.0, 0.75)).result.findings
    assert (finding.score, finding.images) == (score, ())


@pytest.mark.parametrize(("aggregate", "score"), [("maximum", 0.75), ("mean", 0.1875)])
def test_the_windows_of_one_image_become_one_score(
    predict: Predict, tmp_path: Path, aggregate: str, score: float
) -> None:
    rest = f"input = {{ patch = [4, 4] }}\noutput = {{ per = 'image', aggregate = '{aggregate}' }}"
    (finding,) = predict(brightest(tmp_path / "m", rest), slices(0.0, 0.75)).result.findings
    assert finding.score == score


@pytest.mark.parametrize(
    ("activation", "score"),
    [("none", 0.75), ("sigmoid", 1 / (1 + np.exp(-0.75))), ("softmax", 1 / (1 + np.exp(-0.375)))],
)
def test_scores_are_activated_over_the_classes(predict: Predict, tmp_path: Path, activation: str, score: float) -> None:
    model = brightest(tmp_path / "m", f"output = {{ activation = '{activation}' }}")
    assert predict(model, slices(0.75)).result.findings[0].score == pytest.approx(score)


@pytest.mark.parametrize(("peak", "certainty"), [(0.75, 75.0), (0.25, None)])
def test_only_a_calibrated_score_of_what_is_there_is_a_certainty(
    predict: Predict, tmp_path: Path, peak: float, certainty: float | None
) -> None:
    other = '[[finding]]\nchannel = 0\nname = "fracture"\nthreshold = 0\n'
    folder = write_model(
        tmp_path / "m", f"{FINDING}calibrated = true\n{other}", BRIGHTEST, 2, channels=-2, weight=[0.5]
    )
    calibrated, raw = predict(folder, slices(peak)).result.findings
    assert (calibrated.certainty_percent, raw.certainty_percent) == (certainty, None)


def test_slices_cut_across_the_images_are_none_of_them(predict: Predict, tmp_path: Path) -> None:
    model = brightest(tmp_path / "m", "input = { orientation = 'RAS' }\noutput = { per = 'image' }")
    with pytest.raises(UnsupportedInput, match="slices of the model are not parallel to the images"):
        predict(model, slices(0.75, 0.75))


def test_a_network_of_volumes_knows_no_images(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMax", ["x"], ["y"], axes=[2, 3, 4], keepdims=0)]
    folder = write_model(
        tmp_path / "m", f"output = {{ per = 'image' }}{FINDING}".replace("1", "0"), nodes, 3, channels=-1
    )
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path)
    workers.close()
    assert (
        'model.toml:8: per = "image" is for a network of slices; this one takes volumes' in workers.listing()[0].error
    )


PHANTOM = Phantom(
    modality="CT", slices=9, rows=32, columns=32, orientation="oblique", order="shuffled", intercept=-1024.0
)
SLICES_WITH_LESION = """
input = { modality = "CT", window = { min = 200, max = 400 }, scale = [0, 0.875] }
output = { per = "image" }
[[finding]]
channel = 1
name = "pneumothorax"
calibrated = true
[[finding]]
channel = 0
name = "fracture"
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """What the command line makes of a series whose images with the lesion are known."""
    folder = tmp_path_factory.mktemp("run")
    PHANTOM.write(folder / "series")
    model = write_model(folder / "lesion", SLICES_WITH_LESION, BRIGHTEST, 2, channels=-2, weight=[0.5])
    name, settings = locate(str(model), load_settings(None, {}))
    return try_model(name, folder / "series", folder / "output", settings)


def test_the_images_that_show_the_lesion_are_named_in_the_report(tried: Trial) -> None:
    (outcome,) = tried.report.outcomes
    shown, absent = outcome.findings
    with_lesion = {
        PHANTOM.uid("image", "CT", index, 0, 0) for index in np.flatnonzero(PHANTOM.mask.any(axis=(1, 2))).tolist()
    }
    assert {image["sop_uid"] for image in shown["images"]} == with_lesion  # type: ignore[attr-defined]
    assert (shown["value"], shown["score"], shown["certainty_percent"]) == ("present", 0.875, 87.5)
    assert (absent["value"], absent["score"], "images" in absent) == ("absent", 0.4375, False)


def test_the_report_passes_the_validators(tried: Trial) -> None:
    sources = sorted((tried.pictures[0].parent.parent / "series").iterdir())
    (document,) = [written.path for written in tried.report.outcomes[0].objects]
    assert_valid(document, sources[0])
    assert_consistent(sources, [document])


def test_the_picture_frames_the_image(tried: Trial) -> None:
    picture = np.asarray(Image.open(tried.pictures[0]).convert("RGB"))
    assert len({tuple(picture[-1, column]) for column in range(picture.shape[1])}) == 1
    assert picture[-1, 0].max() > 200
