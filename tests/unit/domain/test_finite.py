"""Numbers that are not finite are refused, whatever the type of the array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.finite import check_finite

ADVICE = "the model's numbers overflow: run it in float32 or check its weights"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_the_sentence_names_the_array_the_count_and_what_to_do(dtype: Any, number: float) -> None:
    values = np.zeros((2, 3, 4), dtype)
    values[1, 0] = number
    with pytest.raises(InvalidResult) as fault:
        check_finite(values, "output 'y'")
    said = "output 'y' holds 4 values of 24 that are not finite numbers (NaN or infinity)"
    assert str(fault.value) == f"{said}; {ADVICE}"


def test_one_value_is_singular() -> None:
    with pytest.raises(
        InvalidResult, match=r"^y holds 1 value of 2 that is not a finite number \(NaN or infinity\); x$"
    ):
        check_finite(np.array([1, np.nan]), "y", "x")


def test_a_number_that_float32_cannot_hold_is_infinite() -> None:
    with pytest.raises(InvalidResult, match="holds 1 value of 1"):
        check_finite(np.array([1e39]), "y")


@pytest.mark.parametrize("values", [np.array([True]), np.array([], np.float32), np.arange(3), np.ones(2, np.uint8)])
def test_numbers_that_are_always_finite_pass(values: npt.NDArray[Any]) -> None:
    check_finite(values, "y")


@pytest.mark.parametrize("values", [np.array([1j]), np.array(["1"]), np.array([None])])
def test_what_is_no_number_is_refused(values: npt.NDArray[Any]) -> None:
    with pytest.raises(InvalidResult, match=r"y holds .*, expected numbers such as float32"):
        check_finite(values, "y")


@given(values=arrays.arrays(st.sampled_from([np.float16, np.float32]), arrays.array_shapes(max_dims=4)))
def test_an_array_passes_exactly_if_all_its_numbers_are_finite(values: npt.NDArray[Any]) -> None:
    finite = all(np.isfinite(value) for value in values.ravel())
    try:
        check_finite(values, "y")
    except InvalidResult:
        assert not finite
    else:
        assert finite
