"""Where a loaded model really runs, and what its runtime raises where memory ran out."""

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


def where_it_runs(model: Any, given: str) -> dict[str, str]:
    """Return the device and, for onnxruntime, the execution provider.

    A model says by its attribute ``device`` that it runs elsewhere than on the device it was given.
    """
    said = str(getattr(model, "device", given))
    device = said if re.fullmatch(r"cpu|cuda:\d+", said) else given
    return {"device": device, "provider": str(getattr(model, "provider", ""))}


def ran_out_of_memory(raised: BaseException) -> bool:
    """True for what numpy, onnxruntime and torch raise; the latter two have no type of their own for it."""
    said = str(raised).lower()
    return any(words in said for words in NO_MEMORY)
