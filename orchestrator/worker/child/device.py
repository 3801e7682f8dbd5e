"""Reports the device on which a loaded model runs, and recognises out-of-memory errors of runtimes."""

from __future__ import annotations

import re
from typing import Any

NO_MEMORY = (
    "bad_alloc",
    "allocate memory",  # torch on the CPU
    "out of memory",  # torch and CUDA
    "failed to allocate",  # onnxruntime's arena
    "smaller than requested bytes",  # onnxruntime's arena at gpu_mem_limit
    "alloc_failed",  # cuBLAS and cuDNN
    "memoryallocation",  # cudaErrorMemoryAllocation
    "outofmemory",  # TensorRT
)


def report_device(model: Any, device: str) -> dict[str, str]:
    """Return the device and, for onnxruntime, the execution provider.

    The attribute ``device`` of a model names the device if it is not the one that the host chose.
    """
    own = str(getattr(model, "device", device))
    actual = own if re.fullmatch(r"cpu|cuda:\d+", own) else device
    return {"device": actual, "provider": str(getattr(model, "provider", ""))}


def is_out_of_memory(raised: BaseException) -> bool:
    """Return whether numpy, onnxruntime or torch ran out of memory; the latter two have no exception type for it."""
    message = str(raised).lower()
    return any(words in message for words in NO_MEMORY)
