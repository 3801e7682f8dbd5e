"""What bundles do differently from each other: each ends on our own grid, at the right place.

The model is run in this process here; test_same_network runs one in its cage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.domain.errors import InvalidResult, ManifestError, UnsupportedInput
from orchestrator.domain.result import Result
from orchestrator.domain.volume import Volume
from orchestrator.testing import dice, synthetic_series
from orchestrator.worker import read_manifest
from orchestrator.worker.child.monai_bundle import Bundle
from orchestrator.worker.protocol.digest import digest
from tests.integration.worker.runtimes.exports import INFERENCE, allow, bundle_files, monai_bundle, traced

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # what MONAI and torch say of themselves

PHANTOM: dict[str, Any] = {
    "orientation": "oblique",
    "spacing": (2.5, 1.1, 0.8),
    "slices": 24,
    "rows": 50,
    "columns": 60,
}
Load = Callable[[Path], Bundle]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Give a function that loads the bundle of a model folder and leaves this interpreter as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "pycache_prefix", sys.pycache_prefix)

    def loaded(folder: Path) -> Bundle:
        bundle = Bundle(read_manifest(folder / "model.toml").model_dump(mode="json"), folder)
        bundle.load(None, "cpu")
        return bundle

    yield loaded
    for name in [name for name in sys.modules if name.partition(".")[0] == "scripts"]:
        del sys.modules[name]


def found_in(bundle: Bundle, folder: Path) -> tuple[Result, float]:
    """Return what the bundle says of an oblique series, and how far that agrees with the truth."""
    series = synthetic_series(folder / "images", **PHANTOM)
    result = bundle.predict(series.read())
    return result, dice(result.segments[0].mask, series.phantom.mask)


def steps(pipeline: str, *without: str, **changed: Any) -> dict[str, Any]:
    """Return the pipeline without the named steps, others with further arguments."""
    kept = [step for step in INFERENCE[pipeline]["transforms"] if step["_target_"] not in without]
    return {"_target_": "Compose", "transforms": [step | changed.get(step["_target_"], {}) for step in kept]}


SPACING = {"_target_": "Spacingd", "keys": "image", "pixdim": [1.0, 1.0, 1.0], "mode": "bilinear"}
PADDED = {"_target_": "DivisiblePadd", "keys": "image", "k": 16}
CROPPED = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "margin": 2}

BUNDLES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "not inverted, the objects were to be resampled": {"postprocessing": steps("postprocessing", "Invertd")},
    "the loader puts the channel first": {
        "preprocessing": steps("preprocessing", "EnsureChannelFirstd", LoadImaged={"ensure_channel_first": True})
    },
    "its steps are composed by an expression": {
        "steps": steps("preprocessing", "EnsureChannelFirstd", LoadImaged={"ensure_channel_first": True})["transforms"],
        "preprocessing": "$monai.transforms.Compose(@steps)",
    },
    "one channel for each class": {"postprocessing": steps("postprocessing", AsDiscreted={"to_onehot": 2})},
    "padded": {"preprocessing": {"_target_": "Compose", "transforms": [*steps("preprocessing")["transforms"], PADDED]}},
    "cropped, not inverted": {
        "preprocessing": {"_target_": "Compose", "transforms": [*steps("preprocessing")["transforms"], CROPPED]},
        "postprocessing": steps("postprocessing", "Invertd"),
    },
    "a step is referred to by its position": {
        "inferer": {"_target_": "SimpleInferer"},
        "preprocessing": steps(
            "preprocessing", ScaleIntensityRanged={"a_max": "$400 * len(@preprocessing#transforms#2.keys)"}
        ),
    },
}


@pytest.mark.parametrize("changes", BUNDLES.values(), ids=BUNDLES)
def test_what_a_bundle_finds_lies_where_it_is(load: Load, tmp_path: Path, changes: dict[str, Any]) -> None:
    _, agreement = found_in(load(monai_bundle(tmp_path / "bundle", **changes)), tmp_path)
    assert agreement >= 0.99


def test_a_bundle_on_a_grid_of_its_own_says_which(load: Load, tmp_path: Path) -> None:
    own = {"_target_": "Compose", "transforms": [*steps("preprocessing")["transforms"], SPACING]}
    result, agreement = found_in(load(monai_bundle(tmp_path / "bundle", preprocessing=own)), tmp_path)
    assert agreement >= 0.9
    assert list(result.notes) == ["Model grid"]


def test_probabilities_are_decided_as_the_manifest_says(load: Load, tmp_path: Path) -> None:
    folder = monai_bundle(
        tmp_path / "bundle", "output = { threshold = 0.5 }", postprocessing=steps("postprocessing", "AsDiscreted")
    )
    assert found_in(load(folder), tmp_path)[1] >= 0.99


@pytest.mark.parametrize("without", [("AsDiscreted",), ("AsDiscreted", "Invertd")], ids=["inverted", "not inverted"])
def test_a_map_of_a_bundle_holds_its_probabilities_on_our_grid(
    load: Load, tmp_path: Path, without: tuple[str, ...]
) -> None:
    heat = 'map = [{ channel = 1, name = "Lesion", range = [0, 1] }]'
    folder = monai_bundle(tmp_path / "bundle", heat, postprocessing=steps("postprocessing", *without))
    series = synthetic_series(tmp_path / "images", **PHANTOM)
    (found,) = load(folder).predict(series.read()).maps
    assert found.values.shape == series.phantom.mask.shape
    assert dice(found.values > 0.5, series.phantom.mask) >= 0.99


def test_a_bundle_may_hold_torchscript_instead_of_weights(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    traced(bundle_files(folder / "bright_lesions") / "models" / "model.ts")
    assert found_in(load(allow(folder)), tmp_path)[1] >= 0.99


def test_a_bundle_may_be_written_in_yaml(load: Load, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    folder = monai_bundle(tmp_path / "bundle")
    configs = folder / "bright_lesions" / "configs"
    (configs / "inference.json").unlink()
    (configs / "inference.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(INFERENCE))))
    assert found_in(load(allow(folder)), tmp_path)[1] >= 0.99


def test_the_metadata_says_which_channels_there_are(load: Load, tmp_path: Path) -> None:
    said = load(monai_bundle(tmp_path / "bundle")).network()
    assert (said["input_channels"], said["channels"]) == (1, 2)


def test_images_without_a_place_are_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="no-geometry"):
        load(monai_bundle(tmp_path / "bundle")).predict(Volume(np.zeros((1, 4, 4), np.int16), None))


def test_a_bundle_that_was_changed_after_it_was_allowed_does_not_run(load: Load, tmp_path: Path) -> None:
    folder = monai_bundle(tmp_path / "bundle")
    manifest = read_manifest(folder / "model.toml").model_dump(mode="json")
    (folder / "bright_lesions" / "scripts" / "lesion.py").write_text("raise SystemExit")
    with pytest.raises(ManifestError, match=digest([folder / "bright_lesions"], every_file=True)):
        Bundle(manifest, folder).load(None, "cpu")


def test_a_prediction_that_does_not_say_where_it_lies_is_refused(load: Load, tmp_path: Path) -> None:
    lost = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda pred: pred.as_tensor()", "track_meta": False}
    after = {"_target_": "Compose", "transforms": [*steps("postprocessing")["transforms"], lost]}
    bundle = load(monai_bundle(tmp_path / "bundle", postprocessing=after))
    with pytest.raises(ValueError, match="the position of its voxels is unknown"):
        found_in(bundle, tmp_path)


NOT_FINITE = {
    "NaN everywhere": "lambda x, net: net(x) * float('nan')",
    "NaN in the lesion": "lambda x, net: net(x) + (0.7 - x).sqrt() * 0",
    "infinity in the lesion": "lambda x, net: net(x) + (0.7 - x).clamp(0).log()",
}
"""Inferers whose output is not finite; the lesion is brighter than 0.7 of the window."""


@pytest.mark.parametrize("without", [(), ("AsDiscreted",), ("Activationsd", "AsDiscreted")])
@pytest.mark.parametrize("inferer", NOT_FINITE.values(), ids=NOT_FINITE)
def test_a_network_that_overflows_finds_no_nothing(
    load: Load, tmp_path: Path, inferer: str, without: tuple[str, ...]
) -> None:
    after = steps("postprocessing", *without)
    how = "output = { threshold = 0.5 }" if without else ""
    bundle = load(monai_bundle(tmp_path / "bundle", how, inferer="$" + inferer, postprocessing=after))
    with pytest.raises(InvalidResult, match=r"^output 'pred' holds \d+ values of \d+ that are not finite numbers"):
        found_in(bundle, tmp_path)


@pytest.mark.parametrize("heat", ["", 'map = [{ channel = 1, name = "Lesion" }]'])
def test_a_postprocessing_that_overflows_finds_no_nothing(load: Load, tmp_path: Path, heat: str) -> None:
    broken = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda pred: pred / 0"}
    *first, discrete, saved = steps("postprocessing")["transforms"]
    after = {"_target_": "Compose", "transforms": [*first, broken, *([] if heat else [discrete]), saved]}
    folder = monai_bundle(tmp_path / "bundle", heat, postprocessing=after)
    with pytest.raises(InvalidResult, match=r"^the output of the bundle's Lambdad holds"):
        found_in(load(folder), tmp_path)
