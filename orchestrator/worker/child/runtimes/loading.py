"""Loads a network with the runtime of its model.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.worker.child.runtimes.signature import LoadedNetwork, output_names


def load_network(recipe: Mapping[str, Any], folder: Path, file: Path, device: str) -> LoadedNetwork:
    """Return the network in the file, on ``cpu`` or ``cuda:N``.

    folder: the model folder, with the module that builds a PyTorch network.
    Raises EnvironmentMissing if this interpreter lacks the package of the runtime, ManifestError, or the runtime's
    own error for a broken file.
    """
    if recipe["runtime"] == "onnx":
        from orchestrator.worker.child.runtimes.onnx import OnnxNetwork

        return OnnxNetwork(file, output_names(recipe), device, recipe["resources"]["memory_mb"])
    from orchestrator.worker.child.runtimes import torch_modules

    device = torch_modules.usable_device(device)
    if recipe["runtime"] == "torchscript":
        module = torch_modules.load_torchscript(file, device)
    else:
        module = torch_modules.load_weights(torch_modules.build(folder, recipe["network"]), file)
    return torch_modules.TorchNetwork(
        module, device, recipe["input"], output_names(recipe), detects=recipe["detection"] is not None
    )
