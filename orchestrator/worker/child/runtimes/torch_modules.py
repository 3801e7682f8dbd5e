"""Runs networks in torch: a TorchScript archive, or a state dict for a module that the model folder builds.

A pickle is never loaded: torch reads TorchScript with a parser without Python classes, and a state dict with
``torch.load(weights_only=True)`` or safetensors.
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
from orchestrator.worker.child.device import is_out_of_memory
from orchestrator.worker.child.runtimes.packages import require
from orchestrator.worker.child.runtimes.signature import Signature

Module = Any
"""A torch.nn.Module or torch.jit.ScriptModule."""

TRIAL_SIZE = 64
"""Voxels along each axis of the trial input if the manifest has no patch; five halvings leave two of them."""


def usable_device(device: str) -> str:
    """Return the device, or ``cpu`` if this torch has no CUDA.

    Raises EnvironmentMissing.
    """
    return device if require("torch", "torch").cuda.is_available() else "cpu"


def load_torchscript(file: Path, device: str) -> Module:
    """Return the network of a TorchScript archive.

    Raises EnvironmentMissing, ManifestError for a file that torch.jit.save did not write.
    """
    torch = require("torch", "torch")
    if not is_torchscript(file):
        raise ManifestError(
            f"{file.name} is not a TorchScript archive; write it with torch.jit.save. Pickles are never loaded"
        )
    try:
        return torch.jit.load(str(file), map_location=device)
    except RuntimeError as fault:
        raise _refusal(fault, f"{file.name} cannot be read as TorchScript: {_lines(fault)[0]}") from None


def is_torchscript(file: Path) -> bool:
    """Return whether the file is a ZIP archive with constants and code of a TorchScript module."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        inside = {PurePosixPath(name).parts[1:2] for name in archive.namelist()}
    return {("constants.pkl",), ("code",)} <= inside


def build(folder: Path, function: str) -> Module:
    """Return the module that ``name:function`` of the model folder builds, without weights.

    Raises EnvironmentMissing and errors of the function.
    """
    require("torch", "torch")
    name, _, attribute = function.partition(":")
    sys.path.insert(0, str(folder))
    return getattr(importlib.import_module(name), attribute)()


def load_weights(module: Module, file: Path) -> Module:
    """Load the state dict of the file into the module; it may be nested in ``model`` or ``state_dict``.

    Raises ManifestError for a file with anything but tensors, or with weights of another network.
    """
    try:
        state = _read(file)
    except EnvironmentMissing:
        raise
    except pickle.UnpicklingError:
        raise ManifestError(f"{file.name} contains more than weights; save network.state_dict() instead") from None
    except Exception as fault:  # noqa: BLE001 - torch and safetensors raise many types for a broken file
        raise _refusal(fault, f"{file.name} cannot be read as weights: {_lines(fault)[0]}") from None
    for key in ("model", "state_dict"):
        state = state[key] if isinstance(state, Mapping) and isinstance(state.get(key), Mapping) else state
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError) as fault:
        raise ManifestError(f"{file.name} has the weights of another network: {_lines(fault)[-1]}") from None
    return module


def _read(file: Path) -> Any:
    """Return the tensors of the file; neither reader can create objects of classes that the file names."""
    if file.suffix == ".safetensors":
        return require("safetensors.torch", "torch").load_file(file)
    return require("torch", "torch").load(file, map_location="cpu", weights_only=True)


class TorchNetwork:
    """Implements LoadedNetwork for a torch module; a trial run finds the shape of its input."""

    def __init__(
        self, module: Module, device: str, settings: Mapping[str, Any], outputs: Sequence[str | None], *, detects: bool
    ) -> None:
        """Move the module to ``device`` and run it once.

        settings: ``[input]`` of the manifest; outputs: the outputs in use, by key or position, None for the first.
        detects: the network returns boxes, not maps or scores.
        Raises ManifestError if no input fits.
        """
        self._torch = require("torch", "torch")
        self._module = module.to(device).eval()
        self.device, self.provider = device, ""
        self._outputs = outputs
        self.signature = self._find_signature(settings, detects=detects)

    def __call__(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs for one window."""
        outputs = self._run(tensor)
        return [outputs[name or next(iter(outputs))].float().cpu().numpy() for name in self._outputs]

    def _run(self, tensor: npt.NDArray[np.float32]) -> Mapping[str, Any]:
        """Return the outputs by key or position."""
        with self._torch.inference_mode():
            try:
                outputs = self._module(self._torch.from_numpy(tensor).to(self.device))
            except RuntimeError as fault:
                raise fault if is_out_of_memory(fault) else RuntimeError(_lines(fault)[-1]) from fault
        return _by_name(outputs)

    def _find_signature(self, settings: Mapping[str, Any], *, detects: bool) -> Signature:
        channels, faults = settings["channels"], []
        for size in _trial_sizes(settings):
            tensor = np.zeros((1, channels, *size), np.float32)
            try:
                outputs = {name: tuple(each.shape) for name, each in self._run(tensor).items()}
            except (RuntimeError, ValueError, LookupError) as fault:
                if is_out_of_memory(fault):
                    raise
                faults.append(_lines(fault)[-1])
                continue
            name = self._outputs[0] or next(iter(outputs))
            shape = outputs.get(name, next(iter(outputs.values())))
            if detects or len(shape) == 2 or shape[2:] == tuple(size):
                return Signature.by_output(channels, (None,) * len(size), outputs, name)
            faults.append(f"the output for {(1, channels, *size)} has the shape {shape}")
        raise ManifestError(
            f"the network takes none of {list(_trial_sizes(settings))}; set patch in [input]: {faults[-1]}"
        )


def _by_name(outputs: Any) -> Mapping[str, Any]:
    """Return the outputs of a module by key or position; detectors of torchvision return a list of one mapping."""
    if isinstance(outputs, list | tuple) and len(outputs) == 1:
        return _by_name(outputs[0])
    if isinstance(outputs, list | tuple):
        return {str(position): each for position, each in enumerate(outputs)}
    return outputs if isinstance(outputs, Mapping) else {"0": outputs}


def _trial_sizes(settings: Mapping[str, Any]) -> Iterator[Sequence[int]]:
    """Yield the input sizes to try; volumes first, since a network of volumes accepts a slice as unbatched input."""
    size = settings["patch"] or settings["size"]
    yield from [size] if size else (list(itertools.repeat(TRIAL_SIZE, axes)) for axes in (3, 2))


def _refusal(fault: Exception, sentence: str) -> Exception:
    """Return the exception to raise: out of memory stays as it is, since the file is not at fault."""
    return fault if is_out_of_memory(fault) else ManifestError(sentence)


def _lines(fault: BaseException) -> list[str]:
    """Return the lines of torch's message; the last one has the fault of a network, below its traceback."""
    lines = [line.strip().removeprefix("RuntimeError: ") for line in str(fault).splitlines() if line.strip()]
    return lines or [type(fault).__name__]
