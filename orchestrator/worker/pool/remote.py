"""Runs networks on a model server on behalf of the caged process, and compares them with the manifest first."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from orchestrator.domain.errors import EgressRefused, InvalidResult, ManifestError, WorkerCrashed
from orchestrator.domain.remote import ModelServers, RemoteCall, RemoteModel, ServedModel, ServedTensor
from orchestrator.toml import Faults, Key, read
from orchestrator.worker.manifest.network import check_network
from orchestrator.worker.manifest.origin import ServedAt
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.protocol.result import NetworkReport
from orchestrator.worker.sources.discovery import MANIFEST, ModelSource

LARGEST_TENSOR_BYTES = 1 << 31
DATATYPE = "FP32"


class _InferenceRequest(BaseModel):
    """A request of the model process; the process cannot choose the server."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
    need: Literal["infer"]
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=5)]


def check_allowed(source: ModelSource, servers: ModelServers | None) -> None:
    """Return if the source is not a remote model, or its server is allowed; sends nothing.

    Raises EgressRefused.
    """
    if source.manifest is not None and source.manifest.remote is not None:
        _require(servers).check_allowed(_address(source.manifest.remote))


def inspect_network(source: ModelSource, servers: ModelServers | None) -> ServedNetwork | None:
    """Ask the server of a remote model for the network and compare it with the manifest; None for other models.

    Raises ManifestError where they differ, EgressRefused or an InferenceError.
    """
    manifest = source.manifest
    if manifest is None or manifest.remote is None:
        return None
    address = _address(manifest.remote)
    served = _require(servers).describe(address)
    path = source.folders[0] / MANIFEST
    faults = Faults(read(path, ManifestError))
    for place, sentence in _faults(manifest, served):
        faults.add(place, sentence)
    faults.raise_as(ManifestError)
    network = ServedNetwork(_require(servers), address, served, _input(manifest, served), _output(manifest, served))
    check_network(path, manifest, NetworkReport(**network.signature()))
    return network


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """A network on a server; manifest and server agree on its input and output."""

    servers: ModelServers
    address: RemoteModel
    served: ServedModel
    input: ServedTensor
    output: ServedTensor

    def signature(self) -> dict[str, Any]:
        """Return input and outputs of the network as JSON values."""
        return {
            "axes": len(self.input.shape) - 2,
            "input_channels": self.input.shape[1],
            "channels": self.output.shape[1],
            "scores": len(self.output.shape) == 2,
            "dimensions": list(self.input.shape[2:]),
            "outputs": {self.output.name: list(self.output.shape)},
        }

    def to_json(self) -> dict[str, Any]:
        """Return what the model process must know, as JSON values; it does not learn the address."""
        return {"server": self.served.server, "signature": self.signature()}

    def supply(
        self, folder: Path, request: Mapping[str, Any], files: Sequence[int], seconds: float
    ) -> tuple[Mapping[str, Any], int]:
        """Return the server's answer to a request of the process: its shape and an open file.

        folder: of the volume that contains the tensor.
        Raises InvalidResult, WorkerCrashed for an invalid request, EgressRefused or an InferenceError.
        """
        tensor = _tensor(request, files)
        answer = self.servers.infer(
            RemoteCall(
                model=self.address,
                tensor=tensor,
                input=self.input.name,
                output=self.output.name,
                binary=self.served.binary,
                request=folder,
                seconds=seconds,
            )
        )
        self._check(answer.shape, tensor.shape)
        return {"shape": list(answer.shape)}, _file(answer)

    def _check(self, output: tuple[int, ...], input_: tuple[int, ...]) -> None:
        maps = () if len(self.output.shape) == 2 else input_[2:]
        sizes = (1, self.output.shape[1], *maps)
        if len(output) != len(sizes) or any(size not in (None, own) for size, own in zip(sizes, output, strict=True)):
            expected = tuple(size or "any" for size in sizes)
            model = f"model {self.address.model} at {self.address.url}"
            raise InvalidResult(f"{model} returned the shape {output}, expected {expected}")


def _require(servers: ModelServers | None) -> ModelServers:
    if servers is None:
        raise EgressRefused("this command may not send anything to a model server")
    return servers


def _address(remote: ServedAt) -> RemoteModel:
    return RemoteModel(
        url=remote.url, model=remote.model, version=remote.version or "", timeout_seconds=remote.timeout_seconds
    )


def _faults(manifest: Manifest, served: ServedModel) -> Iterator[tuple[Key, str]]:
    """Yield why the tensors of the server do not fit the manifest or this host."""
    assert manifest.remote is not None
    inputs, outputs = ([tensor.name for tensor in each] for each in (served.inputs, served.outputs))
    if not (inputs and outputs):
        yield (
            ("remote",),
            "the server reports no inputs and outputs of the model; declare them in its own settings",
        )
    elif manifest.remote.input is None and len(inputs) > 1:
        yield ("remote",), f"the model has several inputs; name one as input: {inputs}"
    elif manifest.remote.input not in (None, *inputs):
        yield ("remote", "input"), f"the model has no input {manifest.remote.input!r}; it has {inputs}"
    elif manifest.output.name not in (None, *outputs):
        yield ("output", "name"), f"the model has no output {manifest.output.name!r}; it has {outputs}"
    else:
        yield from _shape_faults(_input(manifest, served), _output(manifest, served))


def _shape_faults(input_: ServedTensor, output: ServedTensor) -> Iterator[tuple[Key, str]]:
    if input_.datatype != DATATYPE:
        yield ("remote",), f"the model takes {input_.datatype}, this host sends {DATATYPE}"
    if len(input_.shape) not in (4, 5) or input_.shape[0] not in (None, 1):
        yield ("remote",), f"the model takes {_in_words(input_)}, expected (1, C, row, column) or (1, C, and three)"
    elif len(output.shape) not in (2, len(input_.shape)) or output.shape[0] not in (None, 1):
        yield (
            ("remote",),
            f"the model returns {_in_words(output)} for {_in_words(input_)}, expected as many axes or (1, classes)",
        )


def _in_words(tensor: ServedTensor) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in tensor.shape)})"


def _input(manifest: Manifest, served: ServedModel) -> ServedTensor:
    assert manifest.remote is not None
    name = manifest.remote.input
    return next(tensor for tensor in served.inputs if name in (None, tensor.name))


def _output(manifest: Manifest, served: ServedModel) -> ServedTensor:
    return next(tensor for tensor in served.outputs if manifest.output.name in (None, tensor.name))


def _tensor(request: Mapping[str, Any], files: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return a copy of the tensor in the open file: the process could shorten a mapped file at any time."""
    try:
        shape = _InferenceRequest.model_validate(request).shape
    except ValidationError:
        raise WorkerCrashed("the model process sent an invalid request") from None
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    status = os.fstat(files[0]) if len(files) == 1 else None
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != size or size > LARGEST_TENSOR_BYTES:
        raise WorkerCrashed("the model process sent a tensor of another size than it declared")
    tensor = np.empty(shape, np.float32)
    with os.fdopen(os.dup(files[0]), "rb") as stream:
        stream.seek(0)
        if stream.readinto(tensor.data.cast("B")) != size:
            raise WorkerCrashed("the model process shortened its tensor while the host read it")
    return tensor


def _file(answer: npt.NDArray[np.float32]) -> int:
    file = os.memfd_create("answer")
    with os.fdopen(os.dup(file), "wb") as stream:
        stream.write(np.ascontiguousarray(answer).data)
    return file
