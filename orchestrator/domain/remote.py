"""A model on a server of its own, asked by the Open Inference Protocol v2 (KServe, Triton, MLServer)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """Where a model is served.

    url: ``http(s)://host:port``, a path may follow; version: empty = the server's choice.
    timeout_seconds: for one answer of the server.
    """

    url: str
    model: str
    version: str = ""
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ServedTensor:
    """An input or output as the server states it; None for a dimension that is free."""

    name: str
    datatype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server says of a model.

    server: its name and version, for people; binary: it takes and gives tensors as bytes beside the JSON.
    """

    server: str
    binary: bool
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemoteCall:
    """One tensor for a server; all that leaves of a series.

    tensor: (1, channel, ...), C-contiguous. input, output: the tensors' names there.
    request: the folder of the volume that it was cut from; says in the audit trail for which job it left.
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
    """The host's way to model servers.

    Every call may raise EgressRefused, RemoteUnavailable, RemoteTimeout or RemoteFailed.
    """

    def check_allowed(self, model: RemoteModel) -> None:
        """Return when the settings let tensors go to the model's server; nothing is sent.

        Raises EgressRefused.
        """

    def describe(self, model: RemoteModel) -> ServedModel:
        """Return what the server says of the model once it is ready."""

    def infer(self, call: RemoteCall) -> npt.NDArray[np.float32]:
        """Return the output, finite numbers of whatever shape the server gave.

        Raises InvalidResult where the answer is no such tensor.
        """
