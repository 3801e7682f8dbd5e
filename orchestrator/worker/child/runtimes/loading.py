"""Which code loads which file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.worker.child.runtimes.signature import LoadedNetwork, wanted_outputs


def load_network(recipe: Mapping[str, Any], folder: Path, file: Path, device: str) -> LoadedNetwork:
    """Return the network in the file, on ``cpu`` or ``cuda:N``.

    folder: the model's own, with the module that builds a PyTorch network.
    Raises EnvironmentMissing where this interpreter lacks the runtime's package, ManifestError or
    what the runtime raises for a wrong file.
    """
    if recipe["runtime"] == "onnx":
        from orchestrator.worker.child.runtimes.onnx import OnnxNetwork

        return OnnxNetwork(file, wanted_outputs(recipe), device, recipe["resources"]["memory_mb"])
    from orchestrator.worker.child.runtimes import torch_modules

    device = torch_modules.usable(device)
    if recipe["runtime"] == "torchscript":
        module = torch_modules.torchscript(file, device)
    else:
        module = torch_modules.with_weights(torch_modules.built(folder, recipe["network"]), file)
    return torch_modules.TorchNetwork(
        module, device, recipe["input"], wanted_outputs(recipe), detects=recipe["detection"] is not None
    )
