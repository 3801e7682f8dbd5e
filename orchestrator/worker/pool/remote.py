"""A model on a server: looked at before it runs, and asked on behalf of the caged process that cannot."""

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
from orchestrator.worker.protocol.result import NetworkSaid
from orchestrator.worker.sources.discovery import MANIFEST, ModelSource

LARGEST_TENSOR_BYTES = 1 << 31
DATATYPE = "FP32"


class _Need(BaseModel):
    """What a process asks for; nothing in it says where to."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
    need: Literal["infer"]
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=5)]


def check_allowed(source: ModelSource, servers: ModelServers | None) -> None:
    """Return when the source is no remote model, or its server may be asked; nothing is sent.

    Raises EgressRefused.
    """
    if source.manifest is not None and source.manifest.remote is not None:
        _required(servers).check_allowed(_place(source.manifest.remote))


def look(source: ModelSource, servers: ModelServers | None) -> ServedNetwork | None:
    """Return what the server of a remote model says of it, compared with the manifest; None for any other model.

    Raises ManifestError where they differ, EgressRefused or an InferenceError.
    """
    manifest = source.manifest
    if manifest is None or manifest.remote is None:
        return None
    at = _place(manifest.remote)
    served = _required(servers).describe(at)
    path = source.folders[0] / MANIFEST
    faults = Faults(read(path, ManifestError))
    for place, sentence in _faults(manifest, served):
        faults.add(place, sentence)
    faults.raise_as(ManifestError)
    network = ServedNetwork(_required(servers), at, served, _input(manifest, served), _output(manifest, served))
    check_network(path, manifest, NetworkSaid(**network.signature()))
    return network


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """A network on a server, as the manifest and the server agree on it."""

    servers: ModelServers
    at: RemoteModel
    served: ServedModel
    input: ServedTensor
    output: ServedTensor

    def signature(self) -> dict[str, Any]:
        """Return, in JSON values, what the network takes and gives."""
        return {
            "axes": len(self.input.shape) - 2,
            "input_channels": self.input.shape[1],
            "channels": self.output.shape[1],
            "scores": len(self.output.shape) == 2,
            "dimensions": list(self.input.shape[2:]),
            "outputs": {self.output.name: list(self.output.shape)},
        }

    def told(self) -> dict[str, Any]:
        """Return what the process has to know, in JSON values; the address is none of it."""
        return {"server": self.served.server, "signature": self.signature()}

    def supply(
        self, request: Path, need: Mapping[str, Any], files: Sequence[int], seconds: float
    ) -> tuple[Mapping[str, Any], int]:
        """Return the server's answer to a need of the process, as its shape and an open file.

        request: the folder of the volume that the tensor was cut from.
        Raises InvalidResult, WorkerCrashed for a need that is none, EgressRefused or an InferenceError.
        """
        tensor = _tensor(need, files)
        answer = self.servers.infer(
            RemoteCall(
                model=self.at,
                tensor=tensor,
                input=self.input.name,
                output=self.output.name,
                binary=self.served.binary,
                request=request,
                seconds=seconds,
            )
        )
        self._check(answer.shape, tensor.shape)
        return {"shape": list(answer.shape)}, _file(answer)

    def _check(self, given: tuple[int, ...], fed: tuple[int, ...]) -> None:
        maps = () if len(self.output.shape) == 2 else fed[2:]
        expected = (1, self.output.shape[1], *maps)
        if len(given) != len(expected) or any(
            want not in (None, have) for want, have in zip(expected, given, strict=True)
        ):
            wanted = tuple(size or "any" for size in expected)
            raise InvalidResult(f"model {self.at.model} at {self.at.url} gives the shape {given}, expected {wanted}")


def _required(servers: ModelServers | None) -> ModelServers:
    if servers is None:
        raise EgressRefused("nothing may leave from here, so that no model server can be asked")
    return servers


def _place(remote: ServedAt) -> RemoteModel:
    return RemoteModel(
        url=remote.url, model=remote.model, version=remote.version or "", timeout_seconds=remote.timeout_seconds
    )


def _faults(manifest: Manifest, served: ServedModel) -> Iterator[tuple[Key, str]]:
    """Yield what a server says of the tensors that the manifest or this host cannot follow."""
    assert manifest.remote is not None
    inputs, outputs = ([tensor.name for tensor in each] for each in (served.inputs, served.outputs))
    if not (inputs and outputs):
        yield ("remote",), "the server does not say what the model takes and gives; its own settings have to declare it"
    elif manifest.remote.input is None and len(inputs) > 1:
        yield ("remote",), f"the model has several inputs; name one as input: {inputs}"
    elif manifest.remote.input not in (None, *inputs):
        yield ("remote", "input"), f"the model has no input {manifest.remote.input!r}; it has {inputs}"
    elif manifest.output.name not in (None, *outputs):
        yield ("output", "name"), f"the model has no output {manifest.output.name!r}; it has {outputs}"
    else:
        yield from _shape_faults(_input(manifest, served), _output(manifest, served))


def _shape_faults(taken: ServedTensor, given: ServedTensor) -> Iterator[tuple[Key, str]]:
    if taken.datatype != DATATYPE:
        yield ("remote",), f"the model takes {taken.datatype}, it would be given {DATATYPE}"
    if len(taken.shape) not in (4, 5) or taken.shape[0] not in (None, 1):
        yield ("remote",), f"the model takes {_shown(taken)}, expected (1, C, row, column) or (1, C, and three)"
    elif len(given.shape) not in (2, len(taken.shape)) or given.shape[0] not in (None, 1):
        yield ("remote",), f"the model gives {_shown(given)} to {_shown(taken)}, expected as many axes or (1, classes)"


def _shown(tensor: ServedTensor) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in tensor.shape)})"


def _input(manifest: Manifest, served: ServedModel) -> ServedTensor:
    assert manifest.remote is not None
    wanted = manifest.remote.input
    return next(tensor for tensor in served.inputs if wanted in (None, tensor.name))


def _output(manifest: Manifest, served: ServedModel) -> ServedTensor:
    return next(tensor for tensor in served.outputs if manifest.output.name in (None, tensor.name))


def _tensor(need: Mapping[str, Any], files: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return a copy of the tensor in the open file: the process could shorten a mapped one under our feet."""
    try:
        shape = _Need.model_validate(need).shape
    except ValidationError:
        raise WorkerCrashed("the process asked for something that there is not") from None
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    told = os.fstat(files[0]) if len(files) == 1 else None
    if told is None or not stat.S_ISREG(told.st_mode) or told.st_size != size or size > LARGEST_TENSOR_BYTES:
        raise WorkerCrashed("the process handed over a tensor of another size than it said")
    tensor = np.empty(shape, np.float32)
    with os.fdopen(os.dup(files[0]), "rb") as reading:
        reading.seek(0)
        if reading.readinto(tensor.data.cast("B")) != size:
            raise WorkerCrashed("the process shortened its tensor while it was read")
    return tensor


def _file(answer: npt.NDArray[np.float32]) -> int:
    file = os.memfd_create("answer")
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(np.ascontiguousarray(answer).data)
    return file
