"""Runs networks in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.worker.child.runtimes.providers import choose_providers, device_of
from orchestrator.worker.child.runtimes.signature import Signature


class OnnxNetwork:
    """Implements LoadedNetwork for an ONNX file."""

    def __init__(self, file: Path, outputs: Sequence[str | None], device: str, memory_mb: int) -> None:
        """Load the file on the device, or on the CPU if onnxruntime has no provider for the GPU.

        outputs: names of the outputs to compute, None for the first; memory_mb: limit on a GPU.
        Raises ValueError for a network of another shape, and onnxruntime's own error for a broken file.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # same speed, 10 % less CPU time
        options.log_severity_level = 3
        providers = choose_providers(device, onnxruntime.get_available_providers(), memory_mb)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self.provider = str(self._session.get_providers()[0])  # providers that failed to start are left out
        self.device = device_of(self.provider, device)
        inputs = self._session.get_inputs()
        shapes = {each.name: tuple(map(_size_or_none, each.shape or ())) for each in self._session.get_outputs()}
        if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5):
            raise ValueError("expected a network with one input of 4 axes (N, C, row, column) or 5 (N, C, and three)")
        self._input, first = inputs[0].name, next(iter(shapes))
        self._outputs = [name or first for name in outputs]
        _, channels, *dimensions = map(_size_or_none, inputs[0].shape)
        self.signature = Signature.by_output(channels, dimensions, shapes, self._outputs[0])

    def __call__(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs for one window."""
        outputs: Sequence[npt.NDArray[Any]] = self._session.run(self._outputs, {self._input: tensor})
        return outputs


def _size_or_none(dimension: Any) -> int | None:
    """Return the size of a fixed dimension, None for a free one, for which onnxruntime has a name or nothing."""
    return dimension if isinstance(dimension, int) and dimension > 0 else None
