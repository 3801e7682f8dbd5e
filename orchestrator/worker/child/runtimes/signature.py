"""What a loaded network is asked, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


def wanted_outputs(recipe: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return the outputs that a manifest asks for by name, None for the first there is."""
    told = recipe["detection"]
    if told is None:
        return (recipe["output"]["name"],)
    return tuple(told[key] for key in ("boxes", "scores", "labels") if told[key] is not None)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a network takes and gives; None for a dimension that is free.

    dimensions: of its input behind batch and channel, two for a network of slices, three for one of volumes.
    channels, scores: of the output that was asked for first; scores: one number for each channel instead of maps.
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
        """Return the signature that the output of this name gives; a name that there is not is for ``missing``."""
        given = outputs.get(name) or next(iter(outputs.values()))
        channels = given[1] if len(given) > 1 else None
        return cls(input_channels, tuple(dimensions), channels, len(given) == 2, outputs)

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Signature:
        """Return the signature that ``report`` gave."""
        outputs = {name: tuple(shape) for name, shape in report["outputs"].items()}
        return cls(report["input_channels"], tuple(report["dimensions"]), report["channels"], report["scores"], outputs)

    @property
    def plane(self) -> bool:
        """Whether it takes slices."""
        return len(self.dimensions) == 2

    def missing(self, names: Sequence[str | None]) -> list[str]:
        """Return the names that no output has."""
        return [name for name in names if name is not None and name not in self.outputs]

    def report(self) -> dict[str, Any]:
        """Return, in JSON values, what the host compares with the manifest."""
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
        """What it takes and gives."""

    @property
    def device(self) -> str:
        """Where it runs, ``cpu`` or ``cuda:N``; not always where it was meant to."""

    @property
    def provider(self) -> str:
        """The execution provider of onnxruntime, empty for other runtimes."""

    def __call__(self, fed: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs that were asked for, each with its batch axis, for an input of (1, channel, *axes)."""
