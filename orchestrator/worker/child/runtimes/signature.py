"""Input and outputs of a network, and the interface of a loaded network of any runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


def output_names(recipe: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return the names of the outputs that the manifest uses, None for the first output."""
    spec = recipe["detection"]
    if spec is None:
        return (recipe["output"]["name"],)
    return tuple(spec[key] for key in ("boxes", "scores", "labels") if spec[key] is not None)


@dataclass(frozen=True, slots=True)
class Signature:
    """Input and outputs of a network; None for a free dimension.

    dimensions: of the input after batch and channel; two for a network of slices, three for one of volumes.
    channels, scores: of the first output in use; scores: one number per channel instead of maps.
    outputs: the shape of each output by its name.
    """

    input_channels: int | None
    dimensions: tuple[int | None, ...]
    channels: int | None
    scores: bool
    outputs: Mapping[str, tuple[int | None, ...]]

    @classmethod
    def by_output(
        cls,
        input_channels: int | None,
        dimensions: Sequence[int | None],
        outputs: Mapping[str, tuple[int | None, ...]],
        name: str,
    ) -> Signature:
        """Return the signature for the output of this name; ``missing`` reports a name that does not exist."""
        shape = outputs.get(name) or next(iter(outputs.values()))
        channels = shape[1] if len(shape) > 1 else None
        return cls(input_channels, tuple(dimensions), channels, len(shape) == 2, outputs)

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Signature:
        """Return the signature from its ``report``."""
        outputs = {name: tuple(shape) for name, shape in report["outputs"].items()}
        return cls(report["input_channels"], tuple(report["dimensions"]), report["channels"], report["scores"], outputs)

    @property
    def plane(self) -> bool:
        """Whether the network takes slices, not volumes."""
        return len(self.dimensions) == 2

    def missing(self, names: Sequence[str | None]) -> list[str]:
        """Return those of the names that are not outputs."""
        return [name for name in names if name is not None and name not in self.outputs]

    def report(self) -> dict[str, Any]:
        """Return the signature as JSON values, for the host to compare with the manifest."""
        return {
            "axes": len(self.dimensions),
            "input_channels": self.input_channels,
            "channels": self.channels,
            "scores": self.scores,
            "dimensions": list(self.dimensions),
            "outputs": {name: list(shape) for name, shape in self.outputs.items()},
        }


class LoadedNetwork(Protocol):
    """A network on its device."""

    @property
    def signature(self) -> Signature:
        """Input and outputs of the network."""

    @property
    def device(self) -> str:
        """The device on which it runs, ``cpu`` or ``cuda:N``; it may differ from the device that the host chose."""

    @property
    def provider(self) -> str:
        """The execution provider of onnxruntime, empty for other runtimes."""

    def __call__(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs in use, each with its batch axis, for an input of (1, channel, *axes)."""
