"""Detects lines of text on one image with PaddlePaddle's PP-OCRv4 detector, a DB network.

The network computes the probability of each pixel to lie in the core of a text line (Liao et al., Real-time Scene
Text Detection with Differentiable Binarization, AAAI 2020). Cores are narrower than the lines; each core is expanded
by area x UNCLIP / perimeter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.float32]
"""(row, column), 0 = black, 1 = white."""

SHORTEST_SIDE = 736
"""Smaller images are enlarged: the network detects text from about 10 pixels height."""
LONGEST_SIDE = 2000
"""Larger images are reduced to this size, but at most by half."""
TILE, OVERLAP = 1280, 192
"""Tile size in pixels per side, which limits memory; the overlap exceeds the height of text."""
STEP = 32
"""Input sides must be multiples of this: the network halves its input five times."""

CORE = 0.3
LEAST_CORE_SIDE = 3
UNCLIP = 1.6
LEAST_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class TextLine:
    """Edges of a text line in pixels of its image; score (0..1): mean probability over its core."""

    top: float
    left: float
    bottom: float
    right: float
    score: float

    def overlap(self, other: TextLine) -> float:
        """Return the common area as a fraction of the smaller area."""
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        width = min(self.right, other.right) - max(self.left, other.left)
        return max(height, 0.0) * max(width, 0.0) / min(self.area, other.area)

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def area(self) -> float:
        """Height x width in square pixels."""
        return self.height * self.width


class TextDetector:
    """The network in ONNX Runtime on the CPU or a CUDA device."""

    def __init__(self, path: Path, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # threads that spin between operators would take the cores of the worker beside this one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
        self.device = "cpu" if self._session.get_providers()[0] == "CPUExecutionProvider" else device
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: Picture) -> list[TextLine]:
        """Return the text lines on the picture, in any order."""
        resized_picture = _resize(picture)
        factors = np.array(resized_picture.shape) / picture.shape
        return [_to_original(line, factors, picture.shape) for line in text_lines(self.probability(resized_picture))]

    def probability(self, picture: Picture) -> Picture:
        """Return the probability of text for each pixel; where tiles overlap, the higher one."""
        result = np.zeros_like(picture)
        for part in _tiles(picture.shape):
            np.maximum(result[part], self._run(picture[part]), out=result[part])
        return result

    def _run(self, picture: Picture) -> Picture:
        rows, columns = picture.shape
        full = np.pad(picture, ((0, -rows % STEP), (0, -columns % STEP)), mode="edge")
        (maps,) = self._session.run(None, {self._input: np.repeat((full * 2 - 1)[np.newaxis, np.newaxis], 3, axis=1)})
        probability: Picture = maps[0, 0, :rows, :columns]
        return probability


def text_lines(probability: Picture) -> list[TextLine]:
    """Return the text lines in a probability map, in its pixels."""
    cores, count = ndimage.label(probability > CORE, structure=np.ones((3, 3)))
    scores = ndimage.mean(probability, cores, range(1, count + 1))
    lines = []
    for (rows, columns), score in zip(ndimage.find_objects(cores), scores, strict=True):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(height, width) < LEAST_CORE_SIDE or score < LEAST_SCORE:
            continue
        margin = height * width * UNCLIP / (2 * (height + width))
        edges = (rows.start - margin, columns.start - margin, rows.stop + margin, columns.stop + margin)
        lines.append(TextLine(*edges, score=float(score)))
    return lines


def _resize(picture: Picture) -> Picture:
    """Return the picture at a size suitable for the network."""
    factor = max(SHORTEST_SIDE / min(picture.shape), 1.0)
    factor = min(factor, max(LONGEST_SIDE / max(picture.shape), 0.5))
    if factor == 1.0:
        return picture
    if factor < 1.0:  # so that thin strokes do not fall between two samples
        picture = ndimage.uniform_filter(picture, 1 / factor)
    shape = np.maximum(np.round(np.array(picture.shape) * factor), 1)
    result: Picture = ndimage.zoom(picture, shape / picture.shape, order=1, grid_mode=True, mode="nearest")
    return result


def _to_original(line: TextLine, factors: npt.NDArray[np.float64], shape: tuple[int, ...]) -> TextLine:
    """Return the line in pixels of the original image, clipped to its border."""
    (row, column), (rows, columns) = factors, shape
    return TextLine(
        top=max(line.top / row - 0.5, -0.5),
        left=max(line.left / column - 0.5, -0.5),
        bottom=min(line.bottom / row - 0.5, rows - 0.5),
        right=min(line.right / column - 0.5, columns - 0.5),
        score=line.score,
    )


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    rows, columns = ([slice(start, start + TILE) for start in tile_starts(side)] for side in shape)
    for row in rows:
        for column in columns:
            yield row, column


def tile_starts(side: int) -> list[int]:
    """Return the starts of tiles that cover a side with at least OVERLAP pixels in common."""
    if side <= TILE:
        return [0]
    count = -(-(side - OVERLAP) // (TILE - OVERLAP))
    return [round(index * (side - TILE) / (count - 1)) for index in range(count)]


def _providers(device: str) -> list[Any]:
    import onnxruntime

    if not device.startswith("cuda") or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    number = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]
