"""notebooks/train-and-package.ipynb, with few steps: the code is that of the full training."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

MODELS = Path(__file__).parents[3] / "models"

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("train-and-package"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def trained(execute: Callable[..., Any]) -> Any:
    if find_spec("torch") is None or find_spec("monai") is None:
        pytest.skip("the extra notebooks is not installed: torch, monai")
    return execute("train-and-package", STEPS=60, TRAINING_SERIES=12, HELD_OUT=2)


def test_even_a_short_training_finds_the_lesion_in_series_it_never_saw(trained: Any) -> None:
    found = re.search(r"^mean (\S+)$", trained.printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) >= 0.5


def test_each_held_out_series_gives_a_picture(trained: Any) -> None:
    pictures = [Image.open(path) for path in trained.folder.glob("tried-*/*.png")]
    assert len(pictures) == 2
    assert all(low < high for picture in pictures for low, high in [picture.convert("L").getextrema()])


def test_the_folder_is_what_is_shipped_but_for_name_and_network(trained: Any) -> None:
    ours, shipped = (
        tomllib.loads((folder / "model.toml").read_text())
        for folder in (trained.folder / "my-lesion", MODELS / "phantom-lesion")
    )
    assert shipped.pop("name") == "phantom-lesion"
    assert shipped.pop("sha256") != ours.pop("sha256")
    assert ours | {"name": "my-lesion"} == shipped | {"name": "my-lesion"}


def test_the_card_says_what_was_measured(trained: Any) -> None:
    card = (trained.folder / "my-lesion" / "MODEL_CARD.md").read_text()
    assert re.search(r"^\| axial \| .* \| 0\.\d{3} \|$", card, re.MULTILINE)
    assert "STEPS = 60" in card
    assert "Not a medical device" in card
