"""Networks that run in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.worker.child.runtimes.providers import device_of, wanted_providers
from orchestrator.worker.child.runtimes.signature import Signature


class OnnxNetwork:
    """Implements LoadedNetwork for an ONNX file."""

    def __init__(self, file: Path, output: str | None, device: str, memory_mb: int) -> None:
        """Load the file on the device, or on the CPU where onnxruntime offers no more.

        output: which one, where the network has several, by default the first; memory_mb: bound on a GPU.
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
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        wanted = output or outputs[0].name
        named = [each for each in outputs if each.name == wanted]
        if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5):
            raise ValueError("expected a network with one input of 4 axes (N, C, row, column) or 5 (N, C, and three)")
        if not named:
            raise ValueError(f"the network has no output {wanted!r}; it has {[each.name for each in outputs]}")
        self._input, self._output = inputs[0].name, wanted
        self.signature = _signature(inputs[0].shape, named[0].shape)

    def __call__(self, fed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the output for one window."""
        scores: npt.NDArray[np.float32] = self._session.run([self._output], {self._input: fed})[0][0]
        return scores


def _signature(taken: list[Any], given: list[Any]) -> Signature:
    _, input_channels, *dimensions = taken
    return Signature(_fixed(input_channels), tuple(map(_fixed, dimensions)), _fixed(given[1]), len(given) == 2)


def _fixed(dimension: Any) -> int | None:
    """Return a dimension that is a number; onnxruntime gives a name, or nothing, for a free one."""
    return dimension if isinstance(dimension, int) and dimension > 0 else None
