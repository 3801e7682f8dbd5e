"""The two bone models that are shipped: fifteen lines of Python and a bare network say the same."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.model import Empty
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, discover

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    sources = [source for source in discover([MODELS / "bone-volume-onnx"]) if source.name.startswith("bone-volume")]
    workers = Workers(sources, sandbox="required", weights=tmp_path_factory.mktemp("weights"))
    yield workers
    workers.close()


def mask(workers: Workers, model: str, voxels: npt.NDArray[np.int16], folder: Path) -> npt.NDArray[np.uint8]:
    array = workers.allocate(folder / model, voxels.shape, voxels.dtype)
    array[:] = voxels
    prediction = workers.predict(model, Volume(array, np.eye(4), "[hnsf'U]", "CT"), folder / model)
    return prediction.result.segments[0].mask


def test_both_give_the_same_mask(workers: Workers, tmp_path: Path) -> None:
    head = np.random.default_rng(3).integers(-1024, 3071, (12, 64, 48)).astype(np.int16)
    by_python, by_network = (mask(workers, name, head, tmp_path) for name in ("bone-volume", "bone-volume-onnx"))
    assert (by_python == by_network).all()
    assert (by_python == (head > 300)).all()


def test_the_threshold_itself_is_no_bone(workers: Workers, tmp_path: Path) -> None:
    edge = np.array([300, 301], np.int16).reshape(1, 1, 2)
    assert mask(workers, "bone-volume-onnx", edge, tmp_path).ravel().tolist() == [0, 1]


def test_both_describe_themselves_alike(workers: Workers) -> None:
    python, network = (workers.models()[name] for name in ("bone-volume", "bone-volume-onnx"))
    assert python.intended == network.intended
    assert python.parameters == network.parameters == {"threshold": "300 HU"}
    assert python.empty is network.empty is Empty.NEGATIVE


def test_the_committed_network_is_what_its_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("build", MODELS / "bone-volume-onnx" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.bone() == (MODELS / "bone-volume-onnx" / "model.onnx").read_bytes()
