"""Runs models in caged processes of their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.worker.catalogue import CataloguedModel
    from orchestrator.worker.devices import Device, offered, onnx_runs_on_gpus
    from orchestrator.worker.discovery import ModelSource, discover
    from orchestrator.worker.environment import check_ready, install, is_ready, needs_environment
    from orchestrator.worker.launch import cage_layers
    from orchestrator.worker.manifest_file import read_manifest
    from orchestrator.worker.manifest_reference import manifest_schema
    from orchestrator.worker.weights import pull, weights_folder
    from orchestrator.worker.wheel import file_of_wheel
    from orchestrator.worker.workers import Workers

_HOMES = {
    "CataloguedModel": "catalogue",
    "Device": "devices",
    "ModelSource": "discovery",
    "Workers": "workers",
    "cage_layers": "launch",
    "check_ready": "environment",
    "discover": "discovery",
    "file_of_wheel": "wheel",
    "install": "environment",
    "is_ready": "environment",
    "manifest_schema": "manifest_reference",
    "needs_environment": "environment",
    "offered": "devices",
    "onnx_runs_on_gpus": "devices",
    "pull": "weights",
    "read_manifest": "manifest_file",
    "weights_folder": "weights",
}

__all__ = [
    "CataloguedModel",
    "Device",
    "ModelSource",
    "Workers",
    "cage_layers",
    "check_ready",
    "discover",
    "file_of_wheel",
    "install",
    "is_ready",
    "manifest_schema",
    "needs_environment",
    "offered",
    "onnx_runs_on_gpus",
    "pull",
    "read_manifest",
    "weights_folder",
]


def __getattr__(name: str) -> Any:
    """Return a public name; loaded late, since the model process passes through here without pydantic."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
