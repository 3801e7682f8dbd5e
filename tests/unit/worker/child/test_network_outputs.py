"""Whatever a network returns: the result is made of finite numbers, or there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.domain.checks import check_result
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.volume import Volume
from orchestrator.worker.child.decision import activate, decide, select_maps
from orchestrator.worker.child.network import Network
from orchestrator.worker.child.runtimes import Signature

Array = npt.NDArray[Any]
SHAPE = (2, 3, 4)
CODE = {"value": "1", "scheme": "99T", "meaning": "Thing"}
SEGMENT = {
    "label": "Lesion",
    "channel": 1,
    "type": CODE,
    "category": CODE,
    "anatomy": None,
    "laterality": None,
    "colour": None,
}
MAP = {"channel": 0, "name": "Map", "unit": "1", "quantity": None, "range": None}
FINDING = {"channel": 1, "name": CODE, "threshold": 0.5, "calibrated": False, "site": None, "laterality": None}
INPUT: dict[str, Any] = {
    "orientation": None,
    "spacing": None,
    "size": None,
    "patch": None,
    "overlap": 0.0,
    "neighbours": 0,
    "window": None,
    "scale": (0.0, 1.0),
    "mean": 0.0,
    "std": 1.0,
    "normalize": "none",
}
RESAMPLED = {"orientation": "RAS", "spacing": [1.5, 2.0, 0.7]}
OVERLAPPING = {"patch": [2, 2, 2], "overlap": 0.5}


class Answering:
    """A loaded network that returns one array, in the shape of its input."""

    device, provider = "cpu", ""

    def __init__(self, output: Array, shape: tuple[int | None, ...]) -> None:
        self.signature = Signature.by_output(1, (None, None, None), {"y": shape}, "y")
        self._output = output
        self.answers: list[Array] = []

    def __call__(self, tensor: npt.NDArray[np.float32]) -> Sequence[Array]:
        """Return the array in the shape of the input, and keep what was returned."""
        axes = () if self.signature.scores else tensor.shape[2:]
        self.answers.append(np.resize(self._output, (1, 2, *axes)))
        return self.answers[-1:]


def network(runs: Answering, activation: str, **settings: Any) -> Network:
    """Return a network for a segment and a map, or for a finding."""
    findings = runs.signature.scores
    recipe = {
        "name": "m",
        "version": "1",
        "input": INPUT | settings,
        "output": {
            "name": None,
            "activation": activation,
            "threshold": 0.5,
            "largest_component": False,
            "per": "series",
            "aggregate": "mean",
        },
        "detection": None,
        "segment": [] if findings else [SEGMENT],
        "map": [] if findings else [MAP],
        "measurement": [],
        "finding": [FINDING] if findings else [],
        "empty": "negative",
        "weights": [],
        "file": "m",
        "remote": None,
    }
    subject = Network(recipe, None)  # type: ignore[arg-type]
    subject._network = runs
    return subject


def floats(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    """Return arrays of any float type, with NaN, infinity and the largest numbers."""
    return st.sampled_from([np.float16, np.float32, np.float64]).flatmap(lambda dtype: arrays.arrays(dtype, shape))


def volume(value: float = 1) -> Volume:
    return Volume(np.full(SHAPE, value, np.float32), np.diag([2.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])


@given(
    output=floats((2, *SHAPE)),
    activation=st.sampled_from(["none", "sigmoid", "softmax", "argmax"]),
    settings=st.sampled_from([{}, OVERLAPPING, RESAMPLED]),
)
def test_masks_and_maps_are_finite_or_refused(output: Array, activation: str, settings: dict[str, Any]) -> None:
    runs = Answering(output, (1, 2, None, None, None))
    try:
        result = network(runs, activation, **settings).predict(volume())
        check_result(result, SHAPE)
    except InvalidResult:
        return
    assert all(np.isfinite(answer).all() for answer in runs.answers)
    assert all(np.isfinite(heat.values).all() for heat in result.maps)


@given(output=floats((2,)), activation=st.sampled_from(["none", "sigmoid", "softmax"]))
def test_scores_are_finite_or_refused(output: Array, activation: str) -> None:
    try:
        result = network(Answering(output, (1, 2)), activation).predict(volume())
    except InvalidResult:
        return
    assert np.isfinite(output).all()
    assert all(finding.score is not None and np.isfinite(finding.score) for finding in result.findings)


@given(output=floats((2, 5)), activation=st.sampled_from(["none", "sigmoid", "softmax", "argmax"]))
def test_an_activation_of_finite_numbers_is_finite(output: Array, activation: str) -> None:
    try:
        assert np.isfinite(activate(output, activation, "y")).all()
    except InvalidResult:
        with np.errstate(over="ignore"):
            assert not np.isfinite(output.astype(np.float32)).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_no_decision_is_made_from_what_is_not_finite(number: float) -> None:
    scores = np.array([[0.0, 1.0], [number, 0.0]], np.float32)
    for activation in ("none", "argmax"):
        recipe = {"segment": [SEGMENT], "output": {"activation": activation, "threshold": 0.5}}
        with pytest.raises(
            InvalidResult, match="the output after activation, blending and resampling holds 1 value of 4"
        ):
            decide(recipe, scores)
    with pytest.raises(InvalidResult, match="holds 1 value of 2"):
        select_maps({"map": [MAP | {"channel": 1}]}, scores)


@pytest.mark.parametrize("number", [np.nan, np.inf, 3e38])
def test_a_network_never_sees_an_input_that_is_not_finite(number: float) -> None:
    runs = Answering(np.zeros((2, *SHAPE), np.float32), (1, 2, None, None, None))
    with pytest.raises(InvalidResult, match=r"^the input of the network holds 24 values of 24"):
        network(runs, "none", std=0.5).predict(volume(number))
    assert not runs.answers
