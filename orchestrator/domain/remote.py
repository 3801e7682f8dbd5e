"""Models on a model server, called by the Open Inference Protocol v2 (KServe, Triton, MLServer)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """Address of a model on a server.

    url: ``http(s)://host:port``, a path may follow; version: empty = the server's choice.
    timeout_seconds: for one answer of the server.
    """

    url: str
    model: str
    version: str = ""
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ServedTensor:
    """An input or output as the server describes it; None for a free dimension."""

    name: str
    datatype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A server's description of a model.

    server: its name and version, for people; binary: tensors may be sent as bytes beside the JSON.
    """

    server: str
    binary: bool
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemoteCall:
    """One tensor for a server; nothing else of a series is sent.

    tensor: (1, channel, ...), C-contiguous. input, output: the tensors' names there.
    request: the folder of its volume; the audit trail shows by it for which job the tensor was sent.
    seconds: how long the answer may take; the server's own timeout where that is shorter.
    """

    model: RemoteModel
    tensor: npt.NDArray[np.float32]
    input: str
    output: str
    binary: bool
    request: Path
    seconds: float


class ModelServers(Protocol):
    """The host's connection to model servers.

    Every call may raise EgressRefused, RemoteUnavailable, RemoteTimeout or RemoteFailed.
    """

    def check_allowed(self, model: RemoteModel) -> None:
        """Check that the settings allow sending to the model's server; nothing is sent.

        Raises EgressRefused.
        """

    def describe(self, model: RemoteModel) -> ServedModel:
        """Return the server's description of the model once the model is ready."""

    def infer(self, call: RemoteCall) -> npt.NDArray[np.float32]:
        """Return the output: finite numbers, in the shape that the server gave.

        Raises InvalidResult where the answer is no such tensor.
        """
