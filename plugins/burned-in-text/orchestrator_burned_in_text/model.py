"""The model burned-in-text: its interface to the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.sdk import Finding, Presence, Region, Register, Result, Volume, codes, hookimpl

if TYPE_CHECKING:
    from orchestrator_burned_in_text.detector import Picture, TextDetector, TextLine

Image = npt.NDArray[Any]
"""(row, column), grey values of any type."""

ENOUGH_IMAGES = 5
"""Images to check once text was found: text has a fixed place in a cine loop, so a few images are enough."""
MOST_IMAGES = 200
MOST_REGIONS = 40
SAME_PLACE = 0.5


class BurnedInText:
    """Detects text in the pixels of ultrasound, radiographs and screen captures."""

    name = "burned-in-text"
    version = "1.0.0"

    _detect: TextDetector

    def load(self, weights: Path, device: str) -> None:
        """Load the network from the folder of the weights."""
        from orchestrator_burned_in_text.detector import TextDetector

        self._detect = TextDetector(weights / "detector.onnx", device)
        self.device = self._detect.device

    def predict(self, volume: Volume) -> Result:
        """Return the finding "Text burned into the image" with a box around each line, the highest score first.

        Images are checked in the order first, last, middle, quarters and so on: five if they have text, else all,
        at most 200. Without text in 200 images of a longer series the finding is "undetermined".
        """
        all_lines, count = search_lines(volume.voxels, self._overlay)
        lines = distinct_places(all_lines)
        return Result(
            findings=[finding_of(lines, is_complete=count == volume.shape[0])],
            notes={"images looked at": f"{count} of {volume.shape[0]}", "lines of text": str(len(lines))},
        )

    def _overlay(self, image: Image) -> list[TextLine]:
        from orchestrator_burned_in_text.overlay import is_overlay

        picture = picture_of(image)
        return [line for line in self._detect(picture) if is_overlay(line, picture)]


def search_lines(
    images: npt.NDArray[Any], lines_on: Callable[[Image], list[TextLine]]
) -> tuple[list[tuple[int, TextLine]], int]:
    """Return the text lines, each with the index of its image, and the number of images checked."""
    lines: list[tuple[int, TextLine]] = []
    for count, index in enumerate(spread(len(images)), start=1):
        lines += [(index, line) for line in lines_on(images[index])]
        if count == MOST_IMAGES or (lines and count >= ENOUGH_IMAGES):
            return lines, count
    return lines, len(images)


def picture_of(image: Image) -> Picture:
    """Return the image from 0 (black) to 1 (white): 8 bits unchanged, more bits between two percentiles."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    low, high = np.quantile(image[::2, ::2], (0.005, 0.995))
    if not high > low:
        return np.zeros(image.shape, np.float32)
    picture: Picture = image.astype(np.float32)
    picture -= low
    picture /= high - low
    return picture.clip(0, 1)


def spread(count: int) -> Iterator[int]:
    """Yield 0 to count - 1, so that the first ones are spread evenly: ends, middle, quarters and so on."""
    yield from sorted({0, count - 1})
    gaps = [(0, count - 1)]
    while gaps:
        halves = []
        for first, last in gaps:
            middle = (first + last) // 2
            if middle not in (first, last):
                yield middle
                halves += [(first, middle), (middle, last)]
        gaps = halves


def distinct_places(lines: Sequence[tuple[int, TextLine]]) -> list[tuple[int, TextLine]]:
    """Return each place once, from the image with its highest score; the highest score first."""
    places: list[tuple[int, TextLine]] = []
    for index, line in sorted(lines, key=lambda each: -each[1].score):
        if all(line.overlap(other) < SAME_PLACE for _, other in places):
            places.append((index, line))
    return places


def finding_of(lines: Sequence[tuple[int, TextLine]], *, is_complete: bool) -> Finding:
    """Return the finding: present with lines, absent without lines if all images were checked (``is_complete``)."""
    name = codes["burned in text"]
    if not lines:
        return Finding(name, Presence.ABSENT if is_complete else Presence.UNDETERMINED)
    regions = [
        Region.box(index, line.top, line.left, line.bottom, line.right, score=line.score)
        for index, line in lines[:MOST_REGIONS]
    ]
    return Finding(name, Presence.PRESENT, score=lines[0][1].score, regions=regions)


@hookimpl
def register_models(register: Register) -> None:
    """Register the model with the host."""
    register(BurnedInText(), manifest=Path(__file__).with_name("model.toml"))
