"""Both kinds of model as a stranger makes them by the docs alone, run by an installed host that knows no checkout."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.testing import synthetic_series
from tests.docs.pages import ROOT, Block, blocks
from tests.integration.packaging.conftest import Installation, build, pip

pytestmark = pytest.mark.xdist_group("packaging")
TUTORIAL = blocks("python", "toml", "bash", pages=(ROOT / "docs/tutorial/first-model.md",))
ONNX_STEPS = [step for step in TUTORIAL if "dense-onnx" in step.text or step.file == "orchestrator.toml"]


@pytest.fixture(scope="module")
def elsewhere(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return the installed host in an empty folder with a series to try models on."""
    folder = tmp_path_factory.mktemp("stranger")
    synthetic_series(folder / "images", slices=12)
    return replace(installation, folder=folder)


@pytest.fixture(scope="module")
def package(elsewhere: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make a package, install it with what it asks for, and take its source away: its entry point is what is left."""
    elsewhere.run("orchestrator", "models", "new", "liver-lesion", "--python")
    wheel = build(elsewhere.folder / "liver-lesion", tmp_path_factory.mktemp("stranger-wheel"))
    pip("--python", elsewhere.python, "install", "--no-index", wheel)
    shutil.rmtree(elsewhere.folder / "liver-lesion")


def objects(folder: Path) -> dict[str, Path]:
    return {dcmread(path, stop_before_pixels=True).Modality: path for path in folder.glob("*/*/*.dcm")}


@pytest.mark.usefixtures("package")
def test_a_new_package_is_known_to_the_host_once_it_is_installed(elsewhere: Installation) -> None:
    (listed,) = (model for model in elsewhere.told("models", "list") if model["name"] == "liver-lesion")
    (plugin,) = (plugin for plugin in elsewhere.told("plugins") if plugin["name"] == "liver-lesion")
    assert (listed["version"], plugin["models"], plugin["error"]) == ("0.1.0", ["liver-lesion"], "")
    assert "liver-lesion 0.1.0" in plugin["origin"]


@pytest.mark.usefixtures("package")
def test_a_new_package_marks_something_once_it_is_installed(elsewhere: Installation) -> None:
    elsewhere.run("orchestrator", "models", "try", "liver-lesion", "--input", "images", "--output", "tried")
    written = objects(elsewhere.folder / "tried")
    assert written.keys() == {"SEG", "SR"}
    assert dcmread(written["SEG"]).pixel_array.any()


def test_a_folder_with_a_network_and_its_manifest_is_a_model(elsewhere: Installation) -> None:
    (elsewhere.folder / "plugins").mkdir()
    for step in ONNX_STEPS:
        _do(step, elsewhere)
    written = objects(elsewhere.folder / "tried-onnx")
    assert {path.name for path in (elsewhere.folder / "models/dense-onnx").iterdir()} == {"model.onnx", "model.toml"}
    assert written.keys() == {"SEG", "SR"}
    assert dcmread(written["SEG"]).pixel_array.any()


def _do(step: Block, host: Installation) -> None:
    """Do one step of the tutorial; the network is made where its author trains, not by the host."""
    if step.language == "python":
        subprocess.run([sys.executable, "-c", step.text], cwd=host.folder, check=True)
    elif step.file:
        place = host.folder / step.file
        network = place.with_name("model.onnx")
        digest = hashlib.sha256(network.read_bytes()).hexdigest() if network.exists() else ""
        place.write_text(step.text.replace("…", digest))
    else:
        for line in step.text.splitlines():
            host.run(*shlex.split(line))
