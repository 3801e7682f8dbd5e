"""The shipped demonstration network, through the host: DICOM in, the SEG read back in patient space."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.models.try_out import Trial, try_model
from orchestrator.config import load_settings
from orchestrator.rules import default_rules
from orchestrator.testing import Lesion, Phantom

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "models" / "phantom-lesion"

DICE = 0.94
"""The bound that the network must reach on each of the series below; its card says what it reached on its own."""

SERIES: Mapping[str, Mapping[str, Any]] = {
    "axial": {"spacing": (3.0, 1.2, 1.2), "slices": 26},
    "coronal": {"spacing": (4.0, 1.0, 1.3), "slices": 20},
    "sagittal": {"spacing": (1.5, 1.4, 1.0), "slices": 48},
    "oblique": {"spacing": (2.5, 1.2, 1.2), "slices": 30},
    "feet-first": {"spacing": (2.0, 1.3, 1.1), "slices": 36, "order": "reversed"},
    "prone": {"spacing": (3.5, 1.1, 1.1), "slices": 22, "order": "shuffled"},
}
"""By orientation."""
LESION = Lesion(centre_mm=(11.0, -7.0, 5.0), radii_mm=(13.0, 9.0, 8.0))
VALUES_HU = (-1000.0, 40.0, 170.0)
NOISE_HU = 30.0

pytestmark = [pytest.mark.xdist_group("phantom-lesion"), pytest.mark.timeout(300)]


def grainy(dataset: Dataset, index: int) -> None:
    clean = np.frombuffer(dataset.PixelData, "<i2")
    noise = np.random.default_rng(index).normal(0, NOISE_HU, clean.shape)
    dataset.PixelData = np.round(clean + noise).astype("<i2").tobytes()


def held_out(orientation: str) -> Phantom:
    known = {"orientation": orientation, "lesion": LESION, "values": VALUES_HU, "edit": grainy}
    return Phantom(**known, **SERIES[orientation], seed=f"phantom-lesion {orientation}")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("phantom-lesion")
    for orientation in SERIES:
        held_out(orientation).write(folder / "series" / orientation)
    return try_model("phantom-lesion", folder / "series", folder / "tried", load_settings(None, {}))


def outcome(tried: Trial, phantom: Phantom) -> Outcome:
    (found,) = [item for item in tried.report.outcomes if item.series == phantom.uid("series", "CT")]
    return found


@pytest.mark.parametrize("orientation", SERIES)
def test_the_segmentation_agrees_with_the_lesion_in_the_patient(tried: Trial, orientation: str) -> None:
    phantom = held_out(orientation)
    (path,) = [item.path for item in outcome(tried, phantom).objects if item.kind == "SEG"]
    found = hd.seg.segread(path).get_volume(combine_segments=True)
    marked = np.argwhere(found.array)
    away = (found.map_indices_to_reference(marked) - phantom.lesion_centre) / phantom.lesion.radii_mm
    inside = ((away**2).sum(axis=1) <= 1).sum()
    assert 2 * inside / (len(marked) + phantom.mask.sum()) >= DICE


@pytest.mark.parametrize("orientation", SERIES)
def test_the_reported_volume_is_close_to_that_of_the_ellipsoid(tried: Trial, orientation: str) -> None:
    true_ml = 4 / 3 * np.pi * np.prod(LESION.radii_mm) / 1000
    volumes = [item for item in outcome(tried, held_out(orientation)).measurements if item["name"] == "Volume"]
    assert volumes[0]["unit"] == "ml"
    assert float(str(volumes[0]["value"])) == pytest.approx(true_ml, rel=0.15)


def test_each_series_has_its_picture(tried: Trial) -> None:
    assert len(tried.pictures) == len(SERIES)
    assert all(path.stat().st_size > 1000 for path in tried.pictures)


def test_no_shipped_rule_calls_it() -> None:
    assert "phantom-lesion" not in default_rules().text


def test_the_network_is_small() -> None:
    assert (FOLDER / "model.onnx").stat().st_size < 2_000_000


def test_the_card_says_how_it_was_made_and_what_it_is_not() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text()
    notebook = (ROOT / "notebooks" / "train-and-package.ipynb").read_text()
    for name in ("SEED", "TRAINING_SERIES", "STEPS", "HELD_OUT"):
        (said,) = re.findall(rf'"{name} = (\d+)', notebook)
        assert f"{name} = {said}" in card
    assert "Not a medical device" in card
    assert "Licence Apache-2.0" in card
