"""Which of its execution providers onnxruntime is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CPU = "CPUExecutionProvider"

ON_A_GPU = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
"""By preference: TensorRT builds its engine for minutes, in each process anew, before the first volume."""


def wanted_providers(device: str, available: Sequence[str], memory_mb: int) -> list[Any]:
    """Return the providers for a session on ``cpu`` or ``cuda:N``, the preferred first, the CPU always last.

    memory_mb: what the model declares; the arena on the GPU grows no further, and by what is needed only.
    """
    found = [name for name in ON_A_GPU if name in available]
    if device == "cpu" or not found:
        return [CPU]
    options: dict[str, Any] = {"device_id": int(device.partition(":")[2])}
    if found[0] == "CUDAExecutionProvider":
        options |= {"gpu_mem_limit": memory_mb << 20, "arena_extend_strategy": "kSameAsRequested"}
    return [(found[0], options), CPU]


def device_of(provider: str, device: str) -> str:
    """Return where a session runs that got this provider on this device."""
    return device if provider in ON_A_GPU else "cpu"
