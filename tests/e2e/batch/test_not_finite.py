"""A network whose numbers overflow ends as a failed job on the command line, never as "nothing found"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.data.faults import ct
from tests.data.models import rule
from tests.integration.worker.child.networks import (
    mean_score,
    nan_above,
    nan_everywhere,
    write_detector,
    write_model,
)
from tests.parts.service import run_command

pytestmark = pytest.mark.timeout(300)

SEGMENT = 'segment = [{ label = "Lesion", type = "lesion", category = "abnormal structure" }]\n'
FINDING = '[[finding]]\nname = "lung nodule"\nthreshold = 0.5\n'
DETECTION = 'detection = { boxes = "boxes", scores = "scores" }\n' + FINDING
BRIGHT = 300
OUTPUTS = {
    "mask-everywhere": "y",
    "mask-in-the-lesion": "y",
    "score": "y",
    "boxes": "boxes",
    "scores-of-boxes": "scores",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """Return the outcome of each model on one series."""
    folder = tmp_path_factory.mktemp("not-finite")
    models, report = folder / "models", folder / "report.json"
    ct(folder / "input")
    write_model(models / "mask-everywhere", SEGMENT, **nan_everywhere())
    write_model(models / "mask-in-the-lesion", SEGMENT, **nan_above(BRIGHT))
    write_model(models / "score", FINDING, **mean_score(nan_above(BRIGHT, "map")))
    write_detector(models / "boxes", DETECTION, bright=BRIGHT, faulty="boxes")
    write_detector(models / "scores-of-boxes", DETECTION, bright=BRIGHT, faulty="scores")
    (folder / "rules.toml").write_text(rule("everything", *OUTPUTS, Modality="CT"))
    ended = run_command(
        *("run", folder / "input", folder / "output", "--rules", folder / "rules.toml"),
        *("--models", models, "--json", report),
    )
    assert report.exists(), ended.stderr
    return {item["model"]: item for item in json.loads(report.read_text())}


@pytest.mark.parametrize("model", OUTPUTS)
def test_the_job_fails_with_the_reason_and_writes_nothing(
    outcomes: Mapping[str, Mapping[str, Any]], model: str
) -> None:
    outcome = outcomes[model]
    assert (outcome["outcome"], outcome["objects"]) == ("failed", [])
    assert outcome["reason"].startswith(f"InvalidResult: output '{OUTPUTS[model]}' holds ")
    assert "run it in float32 or check its weights" in outcome["reason"]
