"""Chooses the execution providers of onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CPU = "CPUExecutionProvider"

ON_A_GPU = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
"""In order of preference: TensorRT needs minutes in each process to build its engine."""


def choose_providers(device: str, available: Sequence[str], memory_mb: int) -> list[Any]:
    """Return the providers for a session on ``cpu`` or ``cuda:N``, the preferred one first, the CPU last.

    memory_mb: limit of the memory arena on the GPU, which grows as needed.
    """
    choices = [name for name in ON_A_GPU if name in available]
    if device == "cpu" or not choices:
        return [CPU]
    options: dict[str, Any] = {"device_id": int(device.partition(":")[2])}
    if choices[0] == "CUDAExecutionProvider":
        options |= {"gpu_mem_limit": memory_mb << 20, "arena_extend_strategy": "kSameAsRequested"}
    return [(choices[0], options), CPU]


def device_of(provider: str, device: str) -> str:
    """Return the device on which a session with this provider runs."""
    return device if provider in ON_A_GPU else "cpu"
