"""From voxels to the numbers that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Preparation:
    """Turns a window of the source into the numbers that the network was trained on."""

    def __init__(self, wanted: Mapping[str, Any], source: npt.NDArray[Any]) -> None:
        self._window = _ends(wanted["window"])
        self._scale = wanted["scale"]
        self._mean, self._std = wanted["mean"], wanted["std"]
        if wanted["normalize"] != "none":
            self._mean, self._std = self._of_whole(source, wanted["normalize"])

    def __call__(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return (channel, *axes), contiguous."""
        values = self._windowed(window)
        if (self._mean, self._std) != (0.0, 1.0):
            values -= self._mean
            values /= self._std
        return values

    def _windowed(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values = np.array(window, dtype=np.float32, order="C")
        if self._window is not None:
            low, high = self._window
            np.clip(values, low, high, out=values)
            values -= low
            values *= (self._scale[1] - self._scale[0]) / (high - low)
            values += self._scale[0]
        return values

    def _of_whole(self, source: npt.NDArray[Any], how: str) -> tuple[float, float]:
        """Return offset and divisor over all voxels, slice by slice: the whole volume as float is too much at once."""
        planes = (self._windowed(source[:, index]) for index in range(source.shape[1]))
        if how == "minmax":
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
