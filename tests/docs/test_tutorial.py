"""The tutorial is done from its first line to its last, as a reader does it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests.docs.pages import ROOT, Block, blocks

pytestmark = pytest.mark.xdist_group("tutorial")  # its steps are done once
STEPS = blocks("python", "toml", "bash", pages=(ROOT / "docs/tutorial/first-model.md",))


def _do(step: Block, folder: Path) -> None:
    if step.file:
        place = folder / step.file
        place.parent.mkdir(parents=True, exist_ok=True)
        network = place.with_name("model.onnx")
        digest = hashlib.sha256(network.read_bytes()).hexdigest() if network.exists() else ""
        place.write_text(step.text.replace("…", digest))
    elif step.language == "python":
        subprocess.run([sys.executable, "-c", step.text], cwd=folder, check=True)
    else:
        for line in step.text.splitlines():
            _run(shlex.split(line), folder)


def _run(command: list[str], folder: Path) -> None:
    if command[0] == "orchestrator":
        command = [sys.executable, "-m", *command]
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tutorial")
    for step in STEPS:
        _do(step, made)
    return made


def _mask(folder: Path) -> np.ndarray:
    (seg,) = (item for path in folder.glob("*/*/*.dcm") if (item := dcmread(path)).Modality == "SEG")
    return np.asarray(seg.pixel_array)


def test_both_models_of_the_tutorial_give_the_same_mask(folder: Path) -> None:
    mask = _mask(folder / "tried")
    assert mask.any()
    assert (mask == _mask(folder / "tried-onnx")).all()


@pytest.mark.parametrize("tried", ["tried", "tried-onnx"])
def test_a_trial_leaves_a_segmentation_a_report_and_a_picture(folder: Path, tried: str) -> None:
    assert {dcmread(path).Modality for path in (folder / tried).glob("*/*/*.dcm")} == {"SEG", "SR"}
    assert len(list((folder / tried).glob("*.png"))) == 1


def test_ones_own_model_keeps_the_contract_and_its_card_says_so(folder: Path) -> None:
    card = (folder / "models" / "my-model" / "MODEL_CARD.md").read_text("utf-8")
    assert ": 20 passed, 0 failed, 1 not applicable, in " in card


def test_the_rule_of_the_tutorial_chooses_the_model(folder: Path) -> None:
    assert {dcmread(path).Modality for path in (folder / "results").glob("*/*/*.dcm")} == {"SEG", "SR"}


def test_the_json_of_a_run_has_the_keys_that_its_page_names(folder: Path) -> None:
    _run(["orchestrator", "run", "images", "results", "--rules", "rules.toml", "--json", "run.json"], folder)
    (outcome,) = json.loads((folder / "run.json").read_text())
    (shown,) = json.loads(blocks("json", pages=(ROOT / "docs/reference/run-json.md",))[0].text)
    assert outcome.keys() == shown.keys()
    assert outcome["seconds"].keys() == shown["seconds"].keys()
    assert {*outcome["measurements"][0]} == {*shown["measurements"][0]}
