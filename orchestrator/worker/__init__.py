"""Runs models in caged processes of their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.worker.catalogue.catalogue import CatalogueEntry
    from orchestrator.worker.catalogue.weights import pull, weights_folder
    from orchestrator.worker.catalogue.wheel import fetch_wheel_file
    from orchestrator.worker.devices.devices import Device, find_devices, onnx_runs_on_gpus
    from orchestrator.worker.manifest.file import read_manifest
    from orchestrator.worker.manifest.reference import manifest_schema
    from orchestrator.worker.pool.workers import Workers
    from orchestrator.worker.process.launch import cage_layers
    from orchestrator.worker.sources.discovery import ModelSource, discover
    from orchestrator.worker.sources.environment import check_ready, install, is_ready, needs_environment

_HOMES = {
    "CatalogueEntry": "catalogue.catalogue",
    "Device": "devices.devices",
    "ModelSource": "sources.discovery",
    "Workers": "pool.workers",
    "cage_layers": "process.launch",
    "check_ready": "sources.environment",
    "discover": "sources.discovery",
    "fetch_wheel_file": "catalogue.wheel",
    "install": "sources.environment",
    "is_ready": "sources.environment",
    "manifest_schema": "manifest.reference",
    "needs_environment": "sources.environment",
    "find_devices": "devices.devices",
    "onnx_runs_on_gpus": "devices.devices",
    "pull": "catalogue.weights",
    "read_manifest": "manifest.file",
    "weights_folder": "catalogue.weights",
}

__all__ = [
    "CatalogueEntry",
    "Device",
    "ModelSource",
    "Workers",
    "cage_layers",
    "check_ready",
    "discover",
    "fetch_wheel_file",
    "find_devices",
    "install",
    "is_ready",
    "manifest_schema",
    "needs_environment",
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
