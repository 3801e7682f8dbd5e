"""Client of model servers with the Open Inference Protocol v2 over HTTP (KServe, Triton, MLServer).

Tensors are sent as bytes after the JSON if ``GET /v2`` lists Triton's binary tensor data extension, else as JSON
numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from orchestrator.backoff import Backoff
from orchestrator.domain.errors import InvalidResult, RemoteFailed, RemoteUnavailable
from orchestrator.domain.finite import check_finite
from orchestrator.domain.remote import RemoteCall, RemoteModel, ServedModel, ServedTensor
from orchestrator.model_servers.egress import Egress, Kind, Parcel, Profile, Reply

KIND: Kind = "inference"
PROFILE: Profile = "voxels"
BINARY = "binary_tensor_data"
HEADER_LENGTH = "Inference-Header-Content-Length"

RETRIES = Backoff(0.5, 2.0)
MOST_RETRIES = 3
"""Retries for a server that is unreachable or not ready."""

UNAVAILABLE = frozenset({429, 502, 503, 504})
LARGEST_STATEMENT = 1 << 20
LARGEST_TENSOR_REPLY = 1 << 30
LARGEST_JSON_REPLY = 1 << 28
MOST_JSON_NUMBERS = 1 << 23
LONGEST_REASON = 200

_T = TypeVar("_T")
_DTYPES: Mapping[str, npt.DTypeLike] = {
    **{"BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8"},
    **{"INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"},
    **{"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"},
}


class _Body(BaseModel):
    """JSON body of a server; fields outside the protocol are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Server(_Body):
    name: str
    version: str
    extensions: tuple[str, ...] = ()


class _Tensor(_Body):
    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_domain(self) -> ServedTensor:
        return ServedTensor(self.name, self.datatype, tuple(size if size > 0 else None for size in self.shape))


class _Model(_Body):
    inputs: tuple[_Tensor, ...] | None = None
    outputs: tuple[_Tensor, ...] | None = None


class _Parameters(_Body):
    binary_data_size: NonNegativeInt | None = None


class _Output(_Body):
    name: str
    datatype: str
    shape: tuple[NonNegativeInt, ...]
    parameters: _Parameters | None = None
    data: list[Any] | None = None

    @property
    def size(self) -> int:
        """Number of bytes after the JSON."""
        return (self.parameters and self.parameters.binary_data_size) or 0


class _InferenceBody(_Body):
    outputs: Annotated[tuple[_Output, ...], Field(min_length=1)]


_Statement = TypeVar("_Statement", bound=_Body)


@dataclass(frozen=True, slots=True)
class InferenceServers:
    """Implements domain.remote.ModelServers.

    job_of: returns the job of a request's folder, which is the subject of the audit trail's lines.
    """

    egress: Egress
    job_of: Callable[[Path], str]

    def check_allowed(self, model: RemoteModel) -> None:
        """Return if the settings allow tensors to be sent to the model's server; sends nothing.

        Raises EgressRefused.
        """
        self.egress.permit(model.url, KIND, PROFILE)

    def describe(self, model: RemoteModel) -> ServedModel:
        """Wait until server and model are ready, and return the inputs and outputs of the model.

        Raises EgressRefused, RemoteUnavailable, RemoteTimeout, RemoteFailed.
        """
        return _retry(lambda: self._describe(model))

    def infer(self, call: RemoteCall) -> npt.NDArray[np.float32]:
        """Return the output: finite numbers in the shape that the server returned.

        Raises InvalidResult, EgressRefused, RemoteUnavailable, RemoteTimeout, RemoteFailed.
        """
        headers, content = _binary_request(call) if call.binary else _json_request(call)
        parcel = Parcel(
            url=f"{_model_url(call.model)}/infer",
            kind=KIND,
            profile=PROFILE,
            subject=self.job_of(call.request),
            method="POST",
            headers=headers,
            content=content,
            seconds=min(call.seconds, call.model.timeout_seconds),
            largest_reply=LARGEST_TENSOR_REPLY if call.binary else LARGEST_JSON_REPLY,
        )
        reply = _retry(lambda: _check_status(self.egress.send(parcel), call.model))
        return _tensor(reply, call.output)

    def _describe(self, model: RemoteModel) -> ServedModel:
        self._check_ready(model)
        server = _read(self._request(model, f"{model.url}/v2"), _Server, model)
        served = _read(self._request(model, _model_url(model)), _Model, model)
        return ServedModel(
            server=f"{server.name} {server.version}",
            binary=BINARY in server.extensions,
            inputs=tuple(tensor.to_domain() for tensor in served.inputs or ()),
            outputs=tuple(tensor.to_domain() for tensor in served.outputs or ()),
        )

    def _check_ready(self, model: RemoteModel) -> None:
        """Return if the model is ready; Triton and MLServer answer 400, KServe 503, while it loads."""
        reply = self._get(model, f"{_model_url(model)}/ready")
        if reply.status in (400, 503):
            raise RemoteUnavailable(f"{_in_words(model)} is not ready{_reason(reply)}")
        _check_status(reply, model)

    def _request(self, model: RemoteModel, url: str) -> Reply:
        return _check_status(self._get(model, url), model)

    def _get(self, model: RemoteModel, url: str) -> Reply:
        return self.egress.send(
            Parcel(
                url=url,
                kind=KIND,
                profile=PROFILE,
                subject=model.model,
                seconds=model.timeout_seconds,
                largest_reply=LARGEST_STATEMENT,
            )
        )


def _retry(request: Callable[[], _T]) -> _T:
    """Return the answer; an unavailable server is asked again, at most three times."""
    for failures in range(1, MOST_RETRIES + 1):
        try:
            return request()
        except RemoteUnavailable:
            time.sleep(RETRIES.seconds(failures))
    return request()


def _model_url(model: RemoteModel) -> str:
    version = f"/versions/{quote(model.version, safe='')}" if model.version else ""
    return f"{model.url}/v2/models/{quote(model.model, safe='')}{version}"


def _in_words(model: RemoteModel) -> str:
    return f"model {model.model} at {model.url}"


def _check_status(reply: Reply, model: RemoteModel) -> Reply:
    """Return a reply with status 200.

    Raises RemoteUnavailable for a status that may change later, RemoteFailed for any other.
    """
    if reply.status == 200:
        return reply
    kind = RemoteUnavailable if reply.status in UNAVAILABLE else RemoteFailed
    raise kind(f"{_in_words(model)} answered with status {reply.status}{_reason(reply)}")


def _reason(reply: Reply) -> str:
    """Return the field ``error``, shortened. Other fields are not used: some servers repeat the request in them."""
    try:
        error = json.loads(reply.body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    line = "".join(char for char in str(error).partition("\n")[0] if char.isprintable())
    return f": {line[:LONGEST_REASON]}" if line else ""


def _read(reply: Reply, kind: type[_Statement], model: RemoteModel) -> _Statement:
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError:
        raise RemoteFailed(f"{_in_words(model)} does not answer in the Open Inference Protocol v2") from None


def _binary_request(call: RemoteCall) -> tuple[dict[str, str], list[bytes | memoryview]]:
    body = {
        "inputs": [_header(call) | {"parameters": {"binary_data_size": call.tensor.nbytes}}],
        "outputs": [{"name": call.output, "parameters": {"binary_data": True}}],
    }
    head = json.dumps(body).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return headers, [head, call.tensor.astype("<f4", copy=False).data.cast("B")]


def _json_request(call: RemoteCall) -> tuple[dict[str, str], list[bytes | memoryview]]:
    """Return the request as JSON.

    Raises RemoteFailed for a tensor that is too large for JSON.
    """
    if call.tensor.size > MOST_JSON_NUMBERS:
        raise RemoteFailed(
            f"{_in_words(call.model)} takes JSON only, and {call.tensor.size} numbers are too many for JSON; set patch "
            "or size in [input], or use a server with the binary tensor data extension"
        )
    body = {
        "inputs": [_header(call) | {"data": call.tensor.ravel().tolist()}],
        "outputs": [{"name": call.output}],
    }
    return {"Content-Type": "application/json"}, [json.dumps(body, separators=(",", ":")).encode()]


def _header(call: RemoteCall) -> dict[str, Any]:
    return {"name": call.input, "shape": list(call.tensor.shape), "datatype": "FP32"}


def _tensor(reply: Reply, output: str) -> npt.NDArray[np.float32]:
    """Return the output of that name.

    Raises InvalidResult.
    """
    head, rest = _split(reply)
    try:
        body = _InferenceBody.model_validate_json(bytes(head))
    except ValidationError:
        raise InvalidResult("the server's answer is not an inference response of the protocol") from None
    start = 0
    for item in body.outputs:
        if item.name == output:
            values = _values(item, rest[start : start + item.size])
            check_finite(values, f"output {output!r} of the server")
            return values
        start += item.size
    raise InvalidResult(f"the server returned no output {output!r}, only {[each.name for each in body.outputs]}")


def _split(reply: Reply) -> tuple[memoryview, memoryview]:
    """Return the JSON of a reply and the bytes after it."""
    body, length = memoryview(reply.body), reply.headers.get(HEADER_LENGTH.lower())
    if length is None:
        return body, body[:0]
    if not length.isdecimal() or int(length) > len(body):
        raise InvalidResult("the server's answer is shorter than its header says")
    return body[: int(length)], body[int(length) :]


def _values(output: _Output, data: memoryview) -> npt.NDArray[np.float32]:
    dtype = _DTYPES.get(output.datatype)
    if dtype is None:
        raise InvalidResult(f"output {output.name!r} of the server is {output.datatype}, expected numbers")
    try:
        with np.errstate(over="ignore"):  # values become infinite; the caller refuses them
            return _flat(output, data, dtype).reshape(output.shape).astype(np.float32, copy=False)
    except (ValueError, TypeError, OverflowError):
        raise InvalidResult(f"output {output.name!r} of the server does not fill its shape {output.shape}") from None


def _flat(output: _Output, data: memoryview, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.frombuffer(data, dtype) if output.data is None else np.asarray(output.data, dtype).ravel()
