"""Torch networks say nothing of what they take and give: it is found out by trying."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.domain.errors import InvalidResult
from orchestrator.worker.child.runtimes import LoadedNetwork, load_network
from tests.integration.worker.conftest import Predict
from tests.integration.worker.runtimes.exports import NETWORK, network

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
torch = pytest.importorskip("torch")

INPUT = {"channels": 1, "patch": None, "size": None}


class Named(torch.nn.Module):
    """Gives several outputs."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"same": image, "double": image * 2}


class Paired(torch.nn.Module):
    """Gives two outputs."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image, image * 2


class Detector(torch.nn.Module):
    """Gives a box with its score for each image, as torchvision's detectors do."""

    def forward(self, image: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
        return [{"boxes": boxes, "labels": torch.tensor([7]), "scores": image.amax().reshape(1)}]


class Overflowing(torch.nn.Module):
    """Gives NaN where its input is bright, or infinity in half precision."""

    def __init__(self, half: bool = False) -> None:
        super().__init__()
        self.half_precision = half

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.half_precision:
            return -(image * 1000.0).to(torch.float16)
        return (300.0 - image).sqrt()


SLICES = torch.nn.Conv2d(1, 3, 3, padding=1)
VOLUMES = torch.nn.Conv3d(1, 3, 3, padding=1)
CLASSES = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())


def loaded(
    folder: Path, module: Any, output: str | None = None, detection: dict[str, Any] | None = None, **given: Any
) -> LoadedNetwork:
    """Return the module as the worker has it: written as TorchScript and loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(folder / "network.pt"))
    recipe = {"runtime": "torchscript", "input": INPUT | given, "output": {"name": output}, "detection": detection}
    return load_network(recipe, folder, folder / "network.pt", "cpu")


@pytest.mark.parametrize(
    ("module", "given", "axes", "channels", "scores"),
    [
        (SLICES, {}, 2, 3, False),
        (VOLUMES, {}, 3, 3, False),
        (CLASSES, {}, 2, 4, True),
        (SLICES, {"size": [40, 40]}, 2, 3, False),
        (torch.nn.Identity(), {"patch": [8, 8]}, 2, 1, False),
        (torch.nn.Conv2d(3, 2, 1), {"channels": 3}, 2, 2, False),
    ],
)
def test_what_a_network_takes_and_gives_is_found_out(
    tmp_path: Path, module: Any, given: dict[str, Any], axes: int, channels: int, scores: bool
) -> None:
    signature = loaded(tmp_path, module, **given).signature
    assert (len(signature.dimensions), signature.channels, signature.scores) == (axes, channels, scores)


@pytest.mark.parametrize(
    ("module", "output", "factor"),
    [(Named(), None, 1), (Named(), "double", 2), (Paired(), None, 1), (Paired(), "1", 2)],
)
def test_an_output_is_chosen_by_key_or_position(tmp_path: Path, module: Any, output: str | None, factor: int) -> None:
    fed = np.random.default_rng(1).random((1, 1, 4, 4, 4), np.float32)
    (given,) = loaded(tmp_path, module, output)(fed)
    assert (given == factor * fed).all()


def test_a_detector_gives_its_boxes_scores_and_labels(tmp_path: Path) -> None:
    detection = {"boxes": "boxes", "scores": "scores", "labels": "labels"}
    network = loaded(tmp_path, Detector(), detection=detection, patch=[8, 8])
    assert network.signature.outputs == {"boxes": (1, 4), "labels": (1,), "scores": (1,)}
    given = network(np.full((1, 1, 8, 8), 0.75, np.float32))
    assert [each.tolist() for each in given] == [[[1, 2, 3, 4]], [0.75], [7]]


def test_an_output_that_there_is_not_is_found_missing(tmp_path: Path) -> None:
    assert loaded(tmp_path, Paired(), "2").signature.missing(["2", "1", None]) == ["2"]


SEGMENT = 'segment = [{ label = "Lesion", type = "lesion", category = "abnormal structure" }]'
FINDING = '[[finding]]\nname = "lung nodule"\nthreshold = 0.5'


class Mean(torch.nn.Module):
    """Gives the mean of an overflowing network as its only score."""

    def __init__(self, half: bool) -> None:
        super().__init__()
        self.inner = Overflowing(half)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.inner(image).mean(dim=(2, 3, 4))


class OverflowingDetector(torch.nn.Module):
    """Gives a box whose score is NaN where its input is bright."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"boxes": torch.tensor([[1.0, 2.0, 3.0, 4.0]]), "scores": (300.0 - image.amax()).sqrt().reshape(1)}


@pytest.mark.parametrize(
    ("module", "rest", "output"),
    [
        (Overflowing(), SEGMENT, "0"),
        (Overflowing(half=True), SEGMENT, "0"),
        (Overflowing(half=True), f"output = {{ activation = 'sigmoid' }}\n{SEGMENT}", "0"),
        (Mean(half=False), FINDING, "0"),
        (Mean(half=True), f"output = {{ activation = 'sigmoid' }}\n{FINDING}", "0"),
        (
            OverflowingDetector(),
            f"detection = {{ boxes = 'boxes', scores = 'scores' }}\ninput = {{ patch = [8, 8] }}\n{FINDING}",
            "scores",
        ),
    ],
)
def test_a_network_that_overflows_finds_no_nothing(
    predict: Predict, tmp_path: Path, module: Any, rest: str, output: str
) -> None:
    folder = tmp_path / "overflowing"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(folder / "network.pt"))
    sha256 = hashlib.sha256((folder / "network.pt").read_bytes()).hexdigest()
    head = 'contract = 1\nname = "overflowing"\nversion = "1"\nruntime = "torchscript"\nempty = "negative"\n'
    file = f'file = "network.pt"\nsha256 = "{sha256}"\n'
    (folder / "model.toml").write_text(head + file + rest)
    voxels = np.zeros((8, 8, 8), np.int16)
    voxels[3:5, 3:5, 3:5] = 1000
    with pytest.raises(InvalidResult, match=f"^output '{output}' holds"):
        predict(folder, voxels)


def test_weights_may_be_a_safetensors_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors.torch").save_file(network().state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "lesion.py").write_text(NETWORK)
    recipe = {
        "runtime": "pytorch",
        "network": "lesion:build",
        "input": INPUT,
        "output": {"name": None},
        "detection": None,
    }
    fed = np.random.default_rng(1).random((1, 1, 6, 6, 6), np.float32)
    (given,) = load_network(recipe, tmp_path, tmp_path / "w.safetensors", "cpu")(fed)
    assert np.array_equal(given, network()(torch.from_numpy(fed)).detach().numpy())
