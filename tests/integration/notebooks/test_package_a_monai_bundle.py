"""notebooks/package-a-monai-bundle.ipynb, with the bundle that it makes, and with a bundle of somebody's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from orchestrator.worker import read_manifest

NEEDED = ("torch", "monai", "nibabel", "onnx")

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("package-a-monai-bundle"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packaged(execute: Callable[..., Any]) -> Any:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"the extras notebooks and monai are not installed: {', '.join(missing)}")
    return execute("package-a-monai-bundle")


def test_the_bundle_has_the_layout_of_the_model_zoo(packaged: Any) -> None:
    bundle = packaged.folder / "model" / "phantom_lesion_bundle"
    files = sorted(str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file())
    assert files == ["configs/inference.json", "configs/metadata.json", "models/model.pt"]


def test_what_the_bundle_evaluates_is_shown_before_it_runs(packaged: Any) -> None:
    shown = packaged.printed.index("inference.json: device = $torch.device(")
    assert shown < packaged.printed.index("2 outcomes")


def test_it_is_refused_until_its_digest_is_written_and_when_a_file_changes(packaged: Any) -> None:
    allowed = read_manifest(packaged.folder / "model" / "model.toml").bundle
    assert allowed is not None
    refusals = re.findall(r"have SHA-256 ([0-9a-f]{64}), (and none is allowed|not ([0-9a-f]{64}))", packaged.printed)
    (first, why, _), (changed, _, expected) = refusals
    assert (first, why) == (allowed.sha256, "and none is allowed")
    assert changed != expected == allowed.sha256


def test_what_it_finds_lies_where_the_lesion_is(packaged: Any) -> None:
    agreement = re.findall(r"^(oblique|prone): Dice (\S+)$", packaged.printed, re.MULTILINE)
    assert len(agreement) == 4  # as a bundle and as ONNX
    assert all(float(score) >= 0.9 for _, score in agreement)


def test_every_result_is_shown(packaged: Any) -> None:
    pictures = [Image.open(path) for path in packaged.folder.glob("tried-*/my-bundle-*.png")]
    assert len(pictures) == 2
    assert all(len(picture.convert("RGB").getcolors(1 << 20) or ()) > 100 for picture in pictures)


def test_with_the_old_file_it_runs_again(packaged: Any) -> None:
    after_the_change = packaged.printed.rpartition("have SHA-256")[2]
    assert "2 outcomes" in after_the_change
    assert after_the_change.count("done") == 2


def test_a_bundle_and_series_of_ones_own_are_taken_by_parameters(execute: Callable[..., Any], packaged: Any) -> None:
    own, series = packaged.folder / "downloaded" / "phantom_lesion_bundle", packaged.folder / "series" / "prone"
    before = _files(own)
    executed = execute("package-a-monai-bundle", BUNDLE=str(own), SERIES=str(series))
    assert executed.printed.count("done") == 3  # the bundle, the ONNX file, the bundle again
    assert _files(own) == before


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
