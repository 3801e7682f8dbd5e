"""What a loaded network is asked, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Signature:
    """What a network takes and gives; None for a dimension that is free.

    dimensions: of its input behind batch and channel, two for a network of slices, three for one of volumes.
    scores: whether it gives one number for each channel instead of maps.
    """

    input_channels: int | None
    dimensions: tuple[int | None, ...]
    channels: int | None
    scores: bool

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Signature:
        """Return the signature that ``report`` gave."""
        return cls(report["input_channels"], tuple(report["dimensions"]), report["channels"], report["scores"])

    @property
    def plane(self) -> bool:
        """Whether it takes slices."""
        return len(self.dimensions) == 2

    def report(self) -> dict[str, Any]:
        """Return, in JSON values, what the host compares with the manifest."""
        return {
            "axes": len(self.dimensions),
            "input_channels": self.input_channels,
            "channels": self.channels,
            "scores": self.scores,
            "dimensions": list(self.dimensions),
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

    def __call__(self, fed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (channel, *axes) or (channel,) for an input of (1, channel, *axes)."""
