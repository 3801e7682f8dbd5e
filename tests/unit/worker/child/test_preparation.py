"""Numbers as a network was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.worker.child.preparation import Preparation
from orchestrator.worker.manifest.input import Input

SOURCE = np.array([-2000, -150, 50, 250, 3000], np.int16).reshape(1, 1, 1, 5)


def prepared(**wanted: Any) -> list[float]:
    told = Input.model_validate(wanted).model_dump(mode="json")
    values = Preparation(told, SOURCE)(SOURCE)
    assert values.dtype == np.float32
    return values.ravel().tolist()


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ({}, [-2000, -150, 50, 250, 3000]),
        ({"window": {"min": -150, "max": 250}}, [0, 0, 0.5, 1, 1]),
        ({"window": {"center": 50, "width": 400}, "scale": (-1.0, 1.0)}, [-1, -1, 0, 1, 1]),
        ({"mean": 50.0, "std": 100.0}, [-20.5, -2, 0, 2, 29.5]),
        ({"normalize": "minmax"}, [0, 0.37, 0.41, 0.45, 1]),
    ],
)
def test_values_become(wanted: dict[str, Any], values: list[float]) -> None:
    assert prepared(**wanted) == pytest.approx(values, abs=1e-6)


def test_zscore_is_over_the_whole_source() -> None:
    values = prepared(normalize="zscore")
    assert np.mean(values) == pytest.approx(0, abs=1e-6)
    assert np.std(values) == pytest.approx(1, abs=1e-6)


def test_a_flat_image_divides_by_one() -> None:
    flat = np.full((1, 2, 3, 4), 7, np.int16)
    told = Input(normalize="zscore").model_dump(mode="json")
    assert (Preparation(told, flat)(flat) == 0).all()


def test_the_source_is_left_as_it_was() -> None:
    before = SOURCE.copy()
    prepared(window={"min": 0, "max": 1})
    assert (before == SOURCE).all()
