"""Networks that run in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.worker.child.runtimes.providers import device_of, wanted_providers
from orchestrator.worker.child.runtimes.signature import Signature


class OnnxNetwork:
    """Implements LoadedNetwork for an ONNX file."""

    def __init__(self, file: Path, outputs: Sequence[str | None], device: str, memory_mb: int) -> None:
        """Load the file on the device, or on the CPU where onnxruntime offers no more.

        outputs: those that are asked for, None for the first; memory_mb: bound on a GPU.
        Raises ValueError for a network of another shape, and what onnxruntime raises for a broken file.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # same speed, a tenth less CPU
        options.log_severity_level = 3
        providers = wanted_providers(device, onnxruntime.get_available_providers(), memory_mb)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self.provider = str(self._session.get_providers()[0])  # a provider that cannot start is left out of these
        self.device = device_of(self.provider, device)
        inputs = self._session.get_inputs()
        given = {each.name: tuple(map(_fixed, each.shape or ())) for each in self._session.get_outputs()}
        if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5):
            raise ValueError("expected a network with one input of 4 axes (N, C, row, column) or 5 (N, C, and three)")
        self._input, first = inputs[0].name, next(iter(given))
        self._outputs = [name or first for name in outputs]
        _, channels, *dimensions = map(_fixed, inputs[0].shape)
        self.signature = Signature.by_output(channels, dimensions, given, self._outputs[0])

    def __call__(self, fed: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs for one window."""
        given: Sequence[npt.NDArray[Any]] = self._session.run(self._outputs, {self._input: fed})
        return given


def _fixed(dimension: Any) -> int | None:
    """Return a dimension that is a number; onnxruntime gives a name, or nothing, for a free one."""
    return dimension if isinstance(dimension, int) and dimension > 0 else None
