"""Prepares voxels as input of a network: window, scale and normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Preparation:
    """Turns voxels into the values that the network was trained on."""

    def __init__(self, settings: Mapping[str, Any], source: npt.NDArray[Any]) -> None:
        self._window = _ends(settings["window"])
        self._scale = settings["scale"]
        self._mean, self._std = settings["mean"], settings["std"]
        if settings["normalize"] != "none":
            self._mean, self._std = self._statistics(source, settings["normalize"])

    def __call__(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return (channel, *axes), contiguous."""
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses values that become infinite
            values = self._apply_window(window)
            if (self._mean, self._std) != (0.0, 1.0):
                values -= self._mean
                values /= self._std
        return values

    def _apply_window(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values = np.array(window, dtype=np.float32, order="C")
        if self._window is not None:
            low, high = self._window
            np.clip(values, low, high, out=values)
            values -= low
            values *= (self._scale[1] - self._scale[0]) / (high - low)
            values += self._scale[0]
        return values

    def _statistics(self, source: npt.NDArray[Any], method: str) -> tuple[float, float]:
        """Return offset and divisor over all voxels; slice by slice: a whole float volume takes too much memory."""
        planes = (self._apply_window(source[:, index]) for index in range(source.shape[1]))
        if method == "minmax":
            ends = [(float(plane.min()), float(plane.max())) for plane in planes]
            low, high = min(low for low, _ in ends), max(high for _, high in ends)
            return low, (high - low) or 1.0
        sums = [(plane.sum(dtype=np.float64), np.square(plane, dtype=np.float64).sum()) for plane in planes]
        mean, square = (float(total) / source.size for total in np.sum(sums, axis=0))
        return mean, float(np.sqrt(max(0.0, square - mean**2))) or 1.0


def _ends(window: Mapping[str, Any] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    if window["min"] is not None:
        return window["min"], window["max"]
    return window["center"] - window["width"] / 2, window["center"] + window["width"] / 2
