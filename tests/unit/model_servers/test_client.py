"""What a model server sends is read as the protocol says, and nothing in it is believed before it is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.backoff import Backoff
from orchestrator.domain.errors import InvalidResult, RemoteFailed, RemoteUnavailable
from orchestrator.domain.remote import RemoteCall, RemoteModel
from orchestrator.model_servers import client
from orchestrator.model_servers.client import InferenceServers
from orchestrator.model_servers.egress import Parcel, Reply

MODEL = RemoteModel(url="http://triton:8000", model="bone")
TENSOR = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
SHAPES = st.tuples(st.just(1), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4))


class Way:
    """An egress that gives these replies one after the other and keeps what was sent."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self._replies = iter(replies)
        self.sent: list[Parcel] = []

    def send(self, parcel: Parcel) -> Reply:
        self.sent.append(parcel)
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return reply


def servers(way: Way) -> InferenceServers:
    return InferenceServers(way, lambda _: "job")  # type: ignore[arg-type]


def call(tensor: npt.NDArray[np.float32] = TENSOR, binary: bool = False) -> RemoteCall:
    return RemoteCall(
        model=MODEL, tensor=tensor, input="x", output="y", binary=binary, request=Path("part-0"), seconds=9.0
    )


def answer(outputs: Sequence[Mapping[str, Any]], behind: bytes | None = None, status: int = 200) -> Reply:
    head = json.dumps({"model_name": "bone", "outputs": outputs}).encode()
    headers = {} if behind is None else {"inference-header-content-length": str(len(head))}
    return Reply(status, headers, head + (behind or b""))


def output(shape: Sequence[int], datatype: str = "FP32", name: str = "y", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRIES", Backoff(0.0, 0.0))


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_json_carries_every_number_there_and_back(tensor: npt.NDArray[np.float32]) -> None:
    way = Way(answer([output(tensor.shape, data=tensor.ravel().tolist())]))
    given_back = servers(way).infer(call(tensor))
    sent = json.loads(b"".join(bytes(part) for part in way.sent[0].content))["inputs"][0]
    assert (np.array(sent["data"], np.float32).reshape(sent["shape"]) == tensor).all()
    assert (given_back == tensor).all()


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_bytes_carry_every_number_there_and_back(tensor: npt.NDArray[np.float32]) -> None:
    size = {"binary_data_size": tensor.nbytes}
    way = Way(answer([output(tensor.shape, parameters=size)], tensor.tobytes()))
    assert (servers(way).infer(call(tensor, binary=True)) == tensor).all()
    head, numbers = way.sent[0].content
    assert int(way.sent[0].headers["Inference-Header-Content-Length"]) == len(head)
    assert bytes(numbers) == tensor.tobytes()


@pytest.mark.parametrize("datatype", ["FP16", "FP64", "UINT8", "INT32", "INT64", "BOOL"])
def test_any_kind_of_number_is_read_behind_another_output(datatype: str) -> None:
    values = np.array([0, 1, 1], client._DTYPES[datatype])
    outputs = [
        output([2], name="other", parameters={"binary_data_size": 8}),
        output([1, 3], datatype, parameters={"binary_data_size": values.nbytes}),
    ]
    way = Way(answer(outputs, bytes(8) + values.tobytes()))
    assert servers(way).infer(call(binary=True)).tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(200, {}, b"<html>"), "not an inference response"),
        (Reply(200, {}, b"[" * 100_000), "not an inference response"),
        (answer([]), "not an inference response"),
        (answer([output([1, 3], data=[1, 2])]), "does not fill its shape"),
        (answer([output([1, 3], data=[1, 2, "x"])]), "does not fill its shape"),
        (answer([output([1, 3])]), "does not fill its shape"),
        (answer([output([1, -1], data=[1])]), "not an inference response"),
        (answer([output([1, 1], "BYTES", data=["x"])]), "is BYTES, expected numbers"),
        (answer([output([1, 1], name="z", data=[1])]), "no output 'y', only"),
        (
            answer([output([1, 1], data=[float("nan")])]),
            "output .y. of the server holds 1 value of 1 that is not a finite number",
        ),
        (
            answer([output([1, 1], data=[1e300])]),
            "output .y. of the server holds 1 value of 1 that is not a finite number",
        ),
        (answer([output([1, 2], parameters={"binary_data_size": 8})], bytes(5)), "does not fill its shape"),
        (Reply(200, {"inference-header-content-length": "99"}, b"{}"), "shorter than its header says"),
        (Reply(200, {"inference-header-content-length": "-1"}, b"{}"), "shorter than its header says"),
    ],
)
def test_an_answer_that_is_no_tensor_is_an_invalid_result(reply: Reply, sentence: str) -> None:
    with pytest.raises(InvalidResult, match=sentence):
        servers(Way(reply)).infer(call())


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again(status: int) -> None:
    busy = Reply(status, {}, b'{"error": "busy"}')
    way = Way(busy, busy, answer([output([1, 1], data=[1])]))
    assert servers(way).infer(call()).tolist() == [[1.0]]


def test_after_some_attempts_it_is_unavailable_with_what_the_server_said() -> None:
    way = Way(*[Reply(503, {}, b'{"error": "busy\\u0007 with others\\nfor long"}')] * (1 + client.MOST_RETRIES))
    with pytest.raises(
        RemoteUnavailable, match=r"model bone at http://triton:8000 answered with status 503: busy with others$"
    ):
        servers(way).infer(call())


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_what_will_not_pass_is_not_asked_again(status: int) -> None:
    way = Way(Reply(status, {}, b'{"detail": [{"input": "all that was sent"}]}'))
    with pytest.raises(RemoteFailed, match=f"answered with status {status}$"):
        servers(way).infer(call())


def test_more_numbers_than_json_is_for_do_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_JSON_NUMBERS", 5)
    way = Way()
    with pytest.raises(RemoteFailed, match=r"6 numbers are too many for JSON; set patch or size in \[input\]"):
        servers(way).infer(call())
    assert way.sent == []


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"name": "x"}'])
def test_a_server_of_another_kind_is_named(body: bytes) -> None:
    way = Way(Reply(200, {}, b""), Reply(200, {}, body))
    with pytest.raises(RemoteFailed, match="does not answer in the Open Inference Protocol v2"):
        servers(way).describe(MODEL)


def test_a_model_that_is_loading_is_waited_for() -> None:
    loading, ready = Reply(400, {}, b""), Reply(200, {}, b"")
    server = Reply(200, {}, b'{"name": "triton", "version": "2.51.0", "extensions": ["binary_tensor_data"]}')
    model = Reply(200, {}, json.dumps({"inputs": [output([-1, 1, 8, 8])], "outputs": [output([1, 2])]}).encode())
    served = servers(Way(loading, ready, server, model)).describe(MODEL)
    assert (served.server, served.binary, served.inputs[0].shape) == ("triton 2.51.0", True, (None, 1, 8, 8))
