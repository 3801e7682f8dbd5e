"""Networks that run in torch: a TorchScript archive, or a state dict for a module that the model's folder builds.

Never a bare pickle: TorchScript is read by torch's own parser, which knows no Python class, a state dict by
``torch.load(weights_only=True)`` or by safetensors.
"""

from __future__ import annotations

import importlib
import itertools
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import EnvironmentMissing, ManifestError
from orchestrator.worker.child.place import ran_out_of_memory
from orchestrator.worker.child.runtimes.packages import required
from orchestrator.worker.child.runtimes.signature import Signature

Module = Any
"""A torch.nn.Module or torch.jit.ScriptModule."""

TRIED_SIZE = 64
"""Voxels along each axis, where the manifest names no patch: what five halvings leave two of."""


def usable(device: str) -> str:
    """Return the device, or ``cpu`` where this torch has no CUDA.

    Raises EnvironmentMissing.
    """
    return device if required("torch", "torch").cuda.is_available() else "cpu"


def torchscript(file: Path, device: str) -> Module:
    """Return the network of a TorchScript archive.

    Raises EnvironmentMissing, ManifestError for a file that torch.jit.save did not write.
    """
    torch = required("torch", "torch")
    if not is_torchscript(file):
        raise ManifestError(
            f"{file.name} is no TorchScript archive as torch.jit.save writes it; a pickle is never loaded"
        )
    try:
        return torch.jit.load(str(file), map_location=device)
    except RuntimeError as fault:
        raise _refusal(fault, f"{file.name} cannot be read as TorchScript: {_said(fault)[0]}") from None


def is_torchscript(file: Path) -> bool:
    """Return whether the file is a zip with the constants and the code of a TorchScript module."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        inside = {PurePosixPath(name).parts[1:2] for name in archive.namelist()}
    return {("constants.pkl",), ("code",)} <= inside


def built(folder: Path, function: str) -> Module:
    """Return the module that ``name:function`` of the model's folder builds, without its weights.

    Raises EnvironmentMissing and whatever the function raises.
    """
    required("torch", "torch")
    name, _, attribute = function.partition(":")
    sys.path.insert(0, str(folder))
    return getattr(importlib.import_module(name), attribute)()


def with_weights(module: Module, file: Path) -> Module:
    """Return the module with the state dict of the file, alone or under ``model`` or ``state_dict``.

    Raises ManifestError for a file that holds anything but tensors, or those of another network.
    """
    try:
        held = _read(file)
    except EnvironmentMissing:
        raise
    except pickle.UnpicklingError:
        raise ManifestError(
            f"{file.name} holds more than weights, which are all that is loaded: save network.state_dict()"
        ) from None
    except Exception as fault:  # noqa: BLE001 - torch and safetensors have errors of their own for a broken file
        raise _refusal(fault, f"{file.name} cannot be read as weights: {_said(fault)[0]}") from None
    for key in ("model", "state_dict"):
        held = held[key] if isinstance(held, Mapping) and isinstance(held.get(key), Mapping) else held
    try:
        module.load_state_dict(held)
    except (RuntimeError, TypeError) as fault:
        raise ManifestError(f"{file.name} holds the weights of another network: {_said(fault)[-1]}") from None
    return module


def _read(file: Path) -> Any:
    """Return the tensors in the file; neither way can make an object of a class that the file names."""
    if file.suffix == ".safetensors":
        return required("safetensors.torch", "torch").load_file(file)
    return required("torch", "torch").load(file, map_location="cpu", weights_only=True)


class TorchNetwork:
    """Implements LoadedNetwork for a torch module, which says nothing of its input: it is tried."""

    def __init__(
        self, module: Module, device: str, wanted: Mapping[str, Any], outputs: Sequence[str | None], *, detects: bool
    ) -> None:
        """Put the module on ``device`` and try it.

        wanted: the manifest's ``[input]``; outputs: those that are asked for, by key or position, None for the first.
        detects: it gives boxes, as many as it finds, and neither maps nor scores.
        Raises ManifestError where no input fits.
        """
        self._torch = required("torch", "torch")
        self._module = module.to(device).eval()
        self.device, self.provider = device, ""
        self._outputs = outputs
        self.signature = self._tried(wanted, detects=detects)

    def __call__(self, fed: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs for one window."""
        given = self._run(fed)
        return [given[name or next(iter(given))].float().cpu().numpy() for name in self._outputs]

    def _run(self, fed: npt.NDArray[np.float32]) -> Mapping[str, Any]:
        """Return the outputs by key or position."""
        with self._torch.inference_mode():
            try:
                given = self._module(self._torch.from_numpy(fed).to(self.device))
            except RuntimeError as fault:
                raise fault if ran_out_of_memory(fault) else RuntimeError(_said(fault)[-1]) from fault
        return _by_name(given)

    def _tried(self, wanted: Mapping[str, Any], *, detects: bool) -> Signature:
        channels, faults = wanted["channels"], []
        for size in _sizes(wanted):
            fed = np.zeros((1, channels, *size), np.float32)
            try:
                outputs = {name: tuple(each.shape) for name, each in self._run(fed).items()}
            except (RuntimeError, ValueError, LookupError) as fault:
                if ran_out_of_memory(fault):
                    raise
                faults.append(_said(fault)[-1])
                continue
            name = self._outputs[0] or next(iter(outputs))
            given = outputs.get(name, next(iter(outputs.values())))
            if detects or len(given) == 2 or given[2:] == tuple(size):
                return Signature.by_output(channels, (None,) * len(size), outputs, name)
            faults.append(f"it answers {given} to {(1, channels, *size)}")
        raise ManifestError(f"the network takes none of {list(_sizes(wanted))} (see patch in [input]): {faults[-1]}")


def _by_name(given: Any) -> Mapping[str, Any]:
    """Return what a module gives, by key or position; torchvision's detectors give a list of one mapping."""
    if isinstance(given, list | tuple) and len(given) == 1:
        return _by_name(given[0])
    if isinstance(given, list | tuple):
        return {str(position): each for position, each in enumerate(given)}
    return given if isinstance(given, Mapping) else {"0": given}


def _sizes(wanted: Mapping[str, Any]) -> Iterator[Sequence[int]]:
    """Yield the inputs to try; volumes first, for a network of volumes takes a slice as one without batch axis."""
    given = wanted["patch"] or wanted["size"]
    yield from [given] if given else (list(itertools.repeat(TRIED_SIZE, axes)) for axes in (3, 2))


def _refusal(fault: Exception, sentence: str) -> Exception:
    """Return what to raise instead: a lack of memory is no fault of the file."""
    return fault if ran_out_of_memory(fault) else ManifestError(sentence)


def _said(fault: BaseException) -> list[str]:
    """Return the lines of what torch says: a network's fault is in the last, below its own traceback."""
    lines = [line.strip().removeprefix("RuntimeError: ") for line in str(fault).splitlines() if line.strip()]
    return lines or [type(fault).__name__]
