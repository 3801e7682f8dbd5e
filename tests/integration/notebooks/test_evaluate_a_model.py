"""notebooks/evaluate-a-model.ipynb on fewer series."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

pytestmark = [pytest.mark.xdist_group("evaluate-a-model"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def evaluated(execute: Callable[..., Any]) -> Any:
    return execute("evaluate-a-model", CASES=6)


@pytest.fixture(scope="module")
def rows(evaluated: Any) -> dict[str, dict[str, str]]:
    with (evaluated.folder / "evaluation.csv").open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_ordinary_lesions_agree_in_every_orientation(rows: dict[str, dict[str, str]]) -> None:
    scores = [float(rows[f"{number:02}"]["dice"]) for number in range(6)]
    assert min(scores) >= 0.8


def test_the_model_volume_is_close_to_the_true_one(rows: dict[str, dict[str, str]]) -> None:
    ordinary = [rows[f"{number:02}"] for number in range(6)]
    assert all(abs(float(row["model_ml"]) / float(row["truth_ml"]) - 1) < 0.3 for row in ordinary)


def test_what_the_model_misses_counts_as_missed(rows: dict[str, dict[str, str]]) -> None:
    assert (rows["faint"]["outcome"], float(rows["faint"]["dice"]), float(rows["faint"]["model_ml"])) == ("done", 0, 0)
    assert float(rows["faint"]["truth_ml"]) > 1


def test_a_series_that_was_refused_is_no_miss(rows: dict[str, dict[str, str]]) -> None:
    assert rows["slice missing"]["outcome"] == "unsupported"
    assert rows["slice missing"]["reason"].startswith("missing-slice")
    assert rows["slice missing"]["dice"] == ""


@pytest.mark.parametrize("name", ["bland-altman.png", "worst.png"])
def test_the_pictures_show_something(evaluated: Any, name: str) -> None:
    with Image.open(evaluated.folder / name) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
