"""The device of a result stands in the job and in the SR, and so does why it is not the one that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.app.batch import run
from orchestrator.app.batch.outcome import Outcome
from orchestrator.config import Settings
from orchestrator.testing import synthetic_series
from tests.data.models import rule, write_model

FOUND = "return Result([Segment('Bright', volume.voxels > 100, codes['bone'])])"
TOO_LARGE = (
    "if self.given != 'cpu':\n    raise RuntimeError('CUDA out of memory. Tried to allocate 20.00 GiB.')\n" + FOUND
)
ANY = "resources = Resources(device='any')\n    def load(self, weights, device): self.given = device"


def outcome_of(folder: Path, body: str, attributes: str, devices: tuple[str, ...]) -> Outcome:
    """Return what came of one CT series and this model, through the whole path."""
    write_model(folder / "plugins", "subject", body, attributes)
    (folder / "rules.toml").write_text(rule("all", "subject", Modality="CT"))
    synthetic_series(folder / "in")
    base = Settings()
    worker = base.worker.model_copy(update={"devices": devices})
    settings = run.with_folders(
        base.model_copy(update={"worker": worker}),
        rules=folder / "rules.toml",
        models=(),
        plugins=[folder / "plugins"],
    )
    (outcome,) = run.run(folder / "in", folder / "out", settings).outcomes
    return outcome


def parameters(outcome: Outcome) -> set[str]:
    """Return the algorithm parameters (111002, DCM) of the outcome's SR."""
    (sr,) = (dataset for dataset in map(dcmread, (item.path for item in outcome.objects)) if dataset.Modality == "SR")
    found: set[str] = set()

    def look(item: Dataset) -> None:
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].get("CodeValue") == "111002":
            found.add(item.TextValue)
        for child in item.get("ContentSequence", []):
            look(child)

    look(sr)
    return found


@pytest.mark.parametrize(("devices", "device"), [(("cuda:0=6000", "cpu"), "cuda:0"), (("cpu",), "cpu")])
def test_the_sr_names_the_device(tmp_path: Path, devices: tuple[str, ...], device: str) -> None:
    outcome = outcome_of(tmp_path, FOUND, ANY, devices)
    assert outcome.device == device
    assert f"device = {device}" in parameters(outcome)
    assert not any("fallback" in text for text in parameters(outcome))


def test_the_sr_says_that_a_gpu_was_out_of_memory(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, TOO_LARGE, ANY, ("cuda:0=6000", "cpu"))
    assert (outcome.outcome, outcome.device) == ("done", "cpu")
    assert {"device = cpu", "fallback = ran on cpu after cuda:0 was out of memory"} <= parameters(outcome)


def test_a_model_that_needs_a_gpu_fails_with_one_sentence(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, FOUND, "resources = Resources(device='cuda')", ("cpu",))
    assert (outcome.outcome, outcome.device) == ("failed", "")
    assert outcome.reason == "DeviceUnavailable: subject needs a GPU; this machine offers only cpu"
