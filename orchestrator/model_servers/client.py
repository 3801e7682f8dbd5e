"""Model servers that speak the Open Inference Protocol v2 over HTTP (KServe, Triton, MLServer).

Tensors go as bytes behind the JSON (Triton's binary tensor data extension) where the server names that
extension in ``GET /v2``, else as JSON numbers.
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
from orchestrator.domain.remote import RemoteCall, RemoteModel, ServedModel, ServedTensor
from orchestrator.model_servers.egress import Egress, Kind, Parcel, Profile, Reply

KIND: Kind = "inference"
PROFILE: Profile = "voxels"
BINARY = "binary_tensor_data"
HEADER_LENGTH = "Inference-Header-Content-Length"

RETRIES = Backoff(0.5, 2.0)
MOST_RETRIES = 3
"""Of a server that cannot be reached or is not ready."""

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


class _Said(BaseModel):
    """JSON of a server; what it says beside the protocol is its own business."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Server(_Said):
    name: str
    version: str
    extensions: tuple[str, ...] = ()


class _Tensor(_Said):
    name: str
    datatype: str
    shape: tuple[int, ...]

    def served(self) -> ServedTensor:
        return ServedTensor(self.name, self.datatype, tuple(size if size > 0 else None for size in self.shape))


class _Model(_Said):
    inputs: tuple[_Tensor, ...] | None = None
    outputs: tuple[_Tensor, ...] | None = None


class _Parameters(_Said):
    binary_data_size: NonNegativeInt | None = None


class _Output(_Said):
    name: str
    datatype: str
    shape: tuple[NonNegativeInt, ...]
    parameters: _Parameters | None = None
    data: list[Any] | None = None

    @property
    def size(self) -> int:
        """Bytes of it behind the JSON."""
        return (self.parameters and self.parameters.binary_data_size) or 0


class _Answer(_Said):
    outputs: Annotated[tuple[_Output, ...], Field(min_length=1)]


_Statement = TypeVar("_Statement", bound=_Said)


@dataclass(frozen=True, slots=True)
class InferenceServers:
    """Implements domain.remote.ModelServers.

    job_of: which job a request's folder belongs to; the subject of its lines in the audit trail.
    """

    egress: Egress
    job_of: Callable[[Path], str]

    def check_allowed(self, model: RemoteModel) -> None:
        """Return when the settings let tensors go to the model's server; nothing is sent.

        Raises EgressRefused.
        """
        self.egress.permit(model.url, KIND, PROFILE)

    def describe(self, model: RemoteModel) -> ServedModel:
        """Return what the server says of the model, once both are ready.

        Raises EgressRefused, RemoteUnavailable, RemoteTimeout, RemoteFailed.
        """
        return _patiently(lambda: self._describe(model))

    def infer(self, call: RemoteCall) -> npt.NDArray[np.float32]:
        """Return the output, finite numbers of whatever shape the server gave.

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
        reply = _patiently(lambda: _accepted(self.egress.send(parcel), call.model))
        return _tensor(reply, call.output)

    def _describe(self, model: RemoteModel) -> ServedModel:
        self._ready(model)
        server = _read(self._asked(model, f"{model.url}/v2"), _Server, model)
        served = _read(self._asked(model, _model_url(model)), _Model, model)
        return ServedModel(
            server=f"{server.name} {server.version}",
            binary=BINARY in server.extensions,
            inputs=tuple(tensor.served() for tensor in served.inputs or ()),
            outputs=tuple(tensor.served() for tensor in served.outputs or ()),
        )

    def _ready(self, model: RemoteModel) -> None:
        """Return when the model can be asked; Triton and MLServer say 400, KServe 503, of one that is loading."""
        reply = self._get(model, f"{_model_url(model)}/ready")
        if reply.status in (400, 503):
            raise RemoteUnavailable(f"{_named(model)} is not ready{_reason(reply)}")
        _accepted(reply, model)

    def _asked(self, model: RemoteModel, url: str) -> Reply:
        return _accepted(self._get(model, url), model)

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


def _patiently(ask: Callable[[], _T]) -> _T:
    """Return the answer; what is unavailable is asked again, a few times."""
    for failures in range(1, MOST_RETRIES + 1):
        try:
            return ask()
        except RemoteUnavailable:
            time.sleep(RETRIES.seconds(failures))
    return ask()


def _model_url(model: RemoteModel) -> str:
    version = f"/versions/{quote(model.version, safe='')}" if model.version else ""
    return f"{model.url}/v2/models/{quote(model.model, safe='')}{version}"


def _named(model: RemoteModel) -> str:
    return f"model {model.model} at {model.url}"


def _accepted(reply: Reply, model: RemoteModel) -> Reply:
    """Return a reply that is an answer.

    Raises RemoteUnavailable for one that may be another later, RemoteFailed for any other.
    """
    if reply.status == 200:
        return reply
    kind = RemoteUnavailable if reply.status in UNAVAILABLE else RemoteFailed
    raise kind(f"{_named(model)} answers {reply.status}{_reason(reply)}")


def _reason(reply: Reply) -> str:
    """Return what the server says is wrong, bounded; some repeat all they were sent, but never as ``error``."""
    try:
        said = json.loads(reply.body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    line = "".join(char for char in str(said).partition("\n")[0] if char.isprintable())
    return f": {line[:LONGEST_REASON]}" if line else ""


def _read(reply: Reply, kind: type[_Statement], model: RemoteModel) -> _Statement:
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError:
        raise RemoteFailed(f"{_named(model)} does not speak the Open Inference Protocol v2") from None


def _binary_request(call: RemoteCall) -> tuple[dict[str, str], list[bytes | memoryview]]:
    told = {
        "inputs": [_stated(call) | {"parameters": {"binary_data_size": call.tensor.nbytes}}],
        "outputs": [{"name": call.output, "parameters": {"binary_data": True}}],
    }
    head = json.dumps(told).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return headers, [head, call.tensor.astype("<f4", copy=False).data.cast("B")]


def _json_request(call: RemoteCall) -> tuple[dict[str, str], list[bytes | memoryview]]:
    """Return the request as JSON.

    Raises RemoteFailed for a tensor that is too much for it.
    """
    if call.tensor.size > MOST_JSON_NUMBERS:
        raise RemoteFailed(
            f"{_named(call.model)} takes numbers as JSON only, and {call.tensor.size} of them are too much for that; "
            "give [input] a patch or a size, or serve the model where the binary tensor data extension is spoken"
        )
    told = {
        "inputs": [_stated(call) | {"data": call.tensor.ravel().tolist()}],
        "outputs": [{"name": call.output}],
    }
    return {"Content-Type": "application/json"}, [json.dumps(told, separators=(",", ":")).encode()]


def _stated(call: RemoteCall) -> dict[str, Any]:
    return {"name": call.input, "shape": list(call.tensor.shape), "datatype": "FP32"}


def _tensor(reply: Reply, output: str) -> npt.NDArray[np.float32]:
    """Return the output of that name.

    Raises InvalidResult.
    """
    head, rest = _split(reply)
    try:
        answer = _Answer.model_validate_json(bytes(head))
    except ValidationError:
        raise InvalidResult("the server's answer is no inference response of the protocol") from None
    start = 0
    for told in answer.outputs:
        if told.name == output:
            values = _values(told, rest[start : start + told.size])
            if not np.isfinite(values).all():
                raise InvalidResult(f"output {output!r} of the server holds numbers that are not finite")
            return values
        start += told.size
    raise InvalidResult(f"the server gives no output {output!r}; it gives {[told.name for told in answer.outputs]}")


def _split(reply: Reply) -> tuple[memoryview, memoryview]:
    """Return the JSON of a reply and the bytes behind it."""
    body, length = memoryview(reply.body), reply.headers.get(HEADER_LENGTH.lower())
    if length is None:
        return body, body[:0]
    if not length.isdecimal() or int(length) > len(body):
        raise InvalidResult("the server's answer is shorter than it says")
    return body[: int(length)], body[int(length) :]


def _values(told: _Output, behind: memoryview) -> npt.NDArray[np.float32]:
    dtype = _DTYPES.get(told.datatype)
    if dtype is None:
        raise InvalidResult(f"output {told.name!r} of the server is {told.datatype}, expected numbers")
    try:
        with np.errstate(over="ignore"):  # becomes infinite, and is named then
            return _flat(told, behind, dtype).reshape(told.shape).astype(np.float32, copy=False)
    except (ValueError, TypeError, OverflowError):
        raise InvalidResult(f"output {told.name!r} of the server does not fill its shape {told.shape}") from None


def _flat(told: _Output, behind: memoryview, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.frombuffer(behind, dtype) if told.data is None else np.asarray(told.data, dtype).ravel()
