"""Bare ONNX files with a model.toml, run in real model processes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper

from orchestrator.domain.concepts import codes
from orchestrator.domain.result import Presence
from orchestrator.worker import Workers, discover
from tests.integration.worker.child.networks import SAME, write_model
from tests.integration.worker.conftest import Predict

MAP = 'map = [{ name = "Copy", unit = "ms", quantity = "T1", range = [-100, 100] }]\n'
SEGMENT = 'segment = [{ label = "Bone", type = "bone" }]\n'


@pytest.fixture
def image() -> npt.NDArray[np.int16]:
    return np.random.default_rng(1).integers(-100, 100, (9, 11, 13)).astype(np.int16)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(
    "how",
    [
        "",
        "input = { orientation = 'RAS' }",
        "input = { orientation = 'ALI', patch = PATCH }",
        "input = { patch = PATCH, overlap = 0.5 }",
        "input = { spacing = [2.0, 1.0, 1.0] }",
    ],
)
def test_a_network_that_copies_marks_what_is_above_the_threshold(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16], axes: int, how: str
) -> None:
    rest = how.replace("PATCH", str([4, 5, 20][:axes])) + "\noutput = { threshold = 29.5 }\n" + SEGMENT
    prediction = predict(write_model(tmp_path / "copy", rest, SAME, axes), image)
    assert (prediction.result.segments[0].mask == (image >= 30)).all()


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(
    "how",
    [
        "",
        "input = { orientation = 'RAS' }",
        "input = { orientation = 'ALI', patch = PATCH }",
        "input = { patch = PATCH, overlap = 0.5 }",
    ],
)
def test_a_map_lies_on_the_grid_of_the_images_whatever_the_networks_axes_are(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16], axes: int, how: str
) -> None:
    rest = how.replace("PATCH", str([4, 5, 20][:axes])) + "\n" + MAP
    (heat,) = predict(write_model(tmp_path / "copy", rest, SAME, axes), image).result.maps
    np.testing.assert_allclose(heat.values, image, atol=1e-3)
    assert (heat.name, heat.unit, heat.quantity, heat.range) == ("Copy", "ms", codes["T1"], (-100, 100))


def test_a_map_of_a_coarser_grid_is_interpolated_linearly(predict: Predict, tmp_path: Path) -> None:
    slope = np.broadcast_to(np.arange(0, 80, 2, dtype=np.int16), (10, 40, 40))
    rest = "input = { orientation = 'RPS', spacing = [4.0, 4.0, 4.0] }\n" + MAP
    (heat,) = predict(write_model(tmp_path / "coarse", rest, SAME), slope).result.maps
    within = (slice(None), slice(None), slice(4, -4))  # beyond the outermost voxel centres nothing is known
    np.testing.assert_allclose(heat.values[within], slope[within], atol=1e-3)


def test_a_network_may_give_segments_and_maps_of_the_same_scores(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16]
) -> None:
    rest = "output = { activation = 'sigmoid', threshold = 0.9 }\n" + SEGMENT + MAP
    result = predict(write_model(tmp_path / "both", rest, SAME), image).result
    np.testing.assert_allclose(result.maps[0].values, 1 / (1 + np.exp(-image.astype(np.float64))), atol=1e-6)
    assert (result.segments[0].mask == (result.maps[0].values >= 0.9)).all()


def test_a_coarser_grid_finds_a_box_and_says_its_grid(predict: Predict, tmp_path: Path) -> None:
    box = np.zeros((10, 40, 40), np.int16)
    box[2:8, 10:30, 10:30] = 100
    rest = "input = { orientation = 'LPS', spacing = [2.0, 2.0, 2.0] }\noutput = { threshold = 50 }\n" + SEGMENT
    prediction = predict(write_model(tmp_path / "coarse", rest, SAME), box)
    assert (prediction.result.segments[0].mask == box / 100).all()
    assert prediction.result.notes == {"Model grid": "20 x 20 x 10"}


MEAN_OF_CHANNELS = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
FIRST_CHANNEL = [helper.make_node("Gather", ["x", "which"], ["y"], axis=1)]
WITH_NEIGHBOURS = [
    "input = { neighbours = 1 }",
    "input = { neighbours = 1, patch = [4, 5] }",
    "input = { neighbours = 1, patch = [4, 5], overlap = 0.5 }",
    "input = { neighbours = 1, orientation = 'IAR' }",
]


@pytest.mark.parametrize("how", WITH_NEIGHBOURS)
def test_a_network_of_slices_sees_the_neighbours_too(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16], how: str
) -> None:
    beside = np.concatenate([image[:1], image, image[-1:]]).astype(np.float32)
    mean = (beside[:-2] + beside[1:-1] + beside[2:]) / 3
    model = write_model(
        tmp_path / "m", f"{how}\noutput = {{ threshold = 9.5 }}\n{SEGMENT}", MEAN_OF_CHANNELS, 2, takes=3
    )
    assert (predict(model, image).result.segments[0].mask == (mean >= 9.5)).all()


@pytest.mark.parametrize(("letters", "shift"), [("SPL", -2), ("IPL", 2)])
def test_the_first_channel_is_the_slice_farthest_before_along_the_networks_axis(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16], letters: str, shift: int
) -> None:
    rest = f"input = {{ neighbours = 2, orientation = '{letters}' }}\noutput = {{ threshold = 9.5 }}\n{SEGMENT}"
    model = write_model(tmp_path / "m", rest, FIRST_CHANNEL, 2, takes=5, which=[0])
    expected = image[np.clip(np.arange(len(image)) + shift, 0, len(image) - 1)] >= 10
    assert (predict(model, image).result.segments[0].mask == expected).all()


def test_neighbours_are_those_of_the_networks_own_grid(predict: Predict, tmp_path: Path) -> None:
    slab = np.zeros((12, 8, 8), np.int16)
    slab[4:6] = 100
    rest = "input = { neighbours = 1, spacing = [4.0, 1.0, 1.0] }\noutput = { threshold = 25 }\n" + SEGMENT
    found = predict(write_model(tmp_path / "m", rest, MEAN_OF_CHANNELS, 2, takes=3), slab).result.segments[0].mask
    assert [bool(plane.any()) for plane in found] == [2 <= index < 8 for index in range(12)]


CLASSES = """
output = { activation = "ACTIVATION", threshold = 0.5 }
[[segment]]
channel = 2
label = "Right"
type = "kidney"
laterality = "right"
colour = [1, 2, 3]
[[segment]]
channel = 1
label = "Left"
type = "kidney"
"""
THREE_CLASSES = [
    helper.make_node("Sub", ["x", "low"], ["first"]),
    helper.make_node("Neg", ["x"], ["second"]),
    helper.make_node("Concat", ["zero", "first", "second"], ["y"], axis=1),
    helper.make_node("Mul", ["x", "nothing"], ["zero"]),
]
THREE_CLASSES = [THREE_CLASSES[3], *THREE_CLASSES[:3]]


@pytest.mark.parametrize("activation", ["argmax", "softmax"])
@pytest.mark.parametrize("how", ["", "input = { patch = [4, 4, 4], overlap = 0.25 }"])
def test_channels_become_the_segments_that_name_them(
    predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16], activation: str, how: str
) -> None:
    rest = how + CLASSES.replace("ACTIVATION", activation)
    model = write_model(tmp_path / "classes", rest, THREE_CLASSES, channels=3, low=[10.5], nothing=[0.0])
    right, left = predict(model, image).result.segments
    assert (left.mask == (image > 10)).all()
    assert (right.mask == (image < 0)).all()
    assert (right.laterality, right.colour) == (codes["right"], (1, 2, 3))


def test_a_sigmoid_is_decided_at_its_threshold(predict: Predict, tmp_path: Path, image: npt.NDArray[np.int16]) -> None:
    rest = 'output = { activation = "sigmoid", threshold = 0.5 }\n' + SEGMENT
    assert (predict(write_model(tmp_path / "s", rest, SAME), image).result.segments[0].mask == (image >= 0)).all()


def test_only_the_largest_part_is_kept(predict: Predict, tmp_path: Path) -> None:
    parts = np.zeros((3, 8, 8), np.int16)
    parts[1, 1:5, 1:5] = parts[1, 6, 6] = 1
    rest = "output = { largest_component = true }\n" + SEGMENT
    assert predict(write_model(tmp_path / "parts", rest, SAME), parts).result.segments[0].mask.sum() == 16


def test_measurements_are_taken_inside_the_segment(predict: Predict, tmp_path: Path) -> None:
    values = np.array([0, 10, 20, 60], np.int16).reshape(1, 2, 2)
    rest = "output = { threshold = 10 }\n" + SEGMENT
    rest += "".join(
        f'[[measurement]]\nname = "{name}"\nsegment = "Bone"\n' for name in ("mean", "maximum", "minimum", "volume")
    )
    measurements = predict(write_model(tmp_path / "m", rest, SAME), values).result.measurements
    assert [(m.name, m.value, m.unit) for m in measurements] == [
        (codes["mean"], 30, "[hnsf'U]"),
        (codes["maximum"], 60, "[hnsf'U]"),
        (codes["minimum"], 10, "[hnsf'U]"),
    ]


FINDINGS = """
input = { geometry = "image", size = [4, 4], INPUT }
[[finding]]
channel = 0
name = "pneumothorax"
threshold = 0.4
site = "lung"
[[finding]]
channel = 1
name = "fracture"
"""
BRIGHTEST = [
    helper.make_node("ReduceMax", ["x"], ["most"], axes=[2, 3], keepdims=0),
    helper.make_node("ReduceMean", ["most"], ["one"], axes=[1], keepdims=1),
    helper.make_node("Concat", ["one", "half"], ["y"], axis=1),
    helper.make_node("Mul", ["one", "weight"], ["half"]),
]
BRIGHTEST = [*BRIGHTEST[:2], BRIGHTEST[3], BRIGHTEST[2]]


@pytest.mark.parametrize(("channels", "colour"), [(1, "colour = false"), (3, "colour = true")])
def test_scores_become_findings_the_highest_over_all_images(
    predict: Predict, tmp_path: Path, channels: int, colour: str
) -> None:
    images = np.zeros((3, 16, 20, 3) if channels == 3 else (3, 16, 20), np.float32)
    images[1] = 0.75
    model = write_model(
        tmp_path / "x", FINDINGS.replace("INPUT", colour), BRIGHTEST, 2, channels=-2, takes=channels, weight=[0.5]
    )
    present, absent = predict(model, images, None).result.findings
    assert (present.name, present.presence, present.score) == (codes["pneumothorax"], Presence.PRESENT, 0.75)
    assert (absent.name, absent.presence, absent.score) == (codes["fracture"], Presence.ABSENT, 0.375)


def test_a_channel_that_the_network_lacks_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "lacks", '[[segment]]\nchannel = 1\nlabel = "x"\ntype = "bone"', SAME)
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path)
    workers.close()
    assert workers.models() == {}
    assert workers.listing()[0].error == f"{folder}/model.toml:9: the network has no channel 1, only channel 0."


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "broken", SEGMENT, SAME)
    digest = (folder / "model.toml").read_text().split('sha256 = "')[1][:64]
    (folder / "model.onnx").write_bytes(b"no network")
    text = (folder / "model.toml").read_text().replace(digest, hashlib.sha256(b"no network").hexdigest())
    (folder / "model.toml").write_text(text)
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path)
    workers.close()
    assert "InvalidProtobuf" in workers.listing()[0].error
