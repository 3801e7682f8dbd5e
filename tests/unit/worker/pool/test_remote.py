"""What a caged process hands over for a model server is looked at before it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.errors import InvalidResult, WorkerCrashed
from orchestrator.domain.remote import RemoteCall, RemoteModel, ServedModel, ServedTensor
from orchestrator.worker.pool.remote import ServedNetwork

SHAPE = (1, 1, 2, 3)
NEED = {"need": "infer", "shape": list(SHAPE)}
FREE = ServedTensor("x", "FP32", (1, 1, None, None))


class Double:
    """A model server that gives twice what it is given, or an answer of another shape."""

    def __init__(self, shape: tuple[int, ...] | None = None) -> None:
        self.calls: list[RemoteCall] = []
        self._shape = shape

    def infer(self, call: RemoteCall) -> npt.NDArray[np.float32]:
        self.calls.append(call)
        return call.tensor * 2 if self._shape is None else np.zeros(self._shape, np.float32)


def network(servers: Double, output: ServedTensor = FREE) -> ServedNetwork:
    at = RemoteModel(url="http://triton:8000", model="bone")
    return ServedNetwork(servers, at, ServedModel("triton 2", True, (FREE,), (output,)), FREE, output)  # type: ignore[arg-type]


@pytest.fixture
def tensor() -> Iterator[int]:
    file = os.memfd_create("tensor")
    os.write(file, np.arange(6, dtype=np.float32).tobytes())
    yield file
    os.close(file)


def test_the_answer_comes_back_as_a_file(tensor: int, tmp_path: Path) -> None:
    servers = Double()
    told, file = network(servers).supply(tmp_path, NEED, [tensor], 7.0)
    with os.fdopen(file, "rb") as answer:
        answer.seek(0)
        assert np.frombuffer(answer.read(), np.float32).tolist() == [0, 2, 4, 6, 8, 10]
    assert told == {"shape": list(SHAPE)}
    assert (servers.calls[0].request, servers.calls[0].seconds, servers.calls[0].binary) == (tmp_path, 7.0, True)


@pytest.mark.parametrize(
    "need",
    [
        {"need": "mail", "shape": list(SHAPE)},
        {"need": "infer"},
        {"need": "infer", "shape": [1, 1, 2, 3], "url": "http://elsewhere"},
        {"need": "infer", "shape": [1, 1, -2, -3]},
        {"need": "infer", "shape": [6]},
        {"need": "infer", "shape": [1, 1, 2, 4]},
        {"need": "infer", "shape": [1, 1, 1 << 31, 1 << 31]},
    ],
)
def test_a_need_that_is_none_ends_the_attempt(tensor: int, tmp_path: Path, need: dict[str, Any]) -> None:
    servers = Double()
    with pytest.raises(WorkerCrashed):
        network(servers).supply(tmp_path, need, [tensor], 7.0)
    assert servers.calls == []


def test_no_file_or_several_end_the_attempt(tensor: int, tmp_path: Path) -> None:
    for files in ([], [tensor, tensor]):
        with pytest.raises(WorkerCrashed):
            network(Double()).supply(tmp_path, NEED, files, 7.0)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(WorkerCrashed):
            network(Double()).supply(tmp_path, NEED, [reading], 7.0)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (2, 1, 2, 3), (1, 2, 2, 3), (1, 1, 2), (6,)])
def test_an_answer_of_another_shape_is_an_invalid_result(tensor: int, tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidResult, match="model bone at http://triton:8000 returned the shape"):
        network(Double(shape)).supply(tmp_path, NEED, [tensor], 7.0)


def test_scores_have_their_own_shape(tensor: int, tmp_path: Path) -> None:
    scores = ServedTensor("y", "FP32", (None, 3))
    told, file = network(Double((1, 3)), scores).supply(tmp_path, NEED, [tensor], 7.0)
    os.close(file)
    assert told == {"shape": [1, 3]}
