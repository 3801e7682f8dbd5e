"""The model burned-in-text as the host sees it."""

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
"""Text stands still in a cine loop: once some is found, a few images spread over the series tell where it is."""
MOST_IMAGES = 200
MOST_REGIONS = 40
SAME_PLACE = 0.5


class BurnedInText:
    """Says whether and where text is part of the pixels of ultrasounds, radiographs and screen captures."""

    name = "burned-in-text"
    version = "1.0.0"

    _detect: TextDetector

    def load(self, weights: Path, device: str) -> None:
        """Load the network from the folder of the weights."""
        from orchestrator_burned_in_text.detector import TextDetector

        self._detect = TextDetector(weights / "detector.onnx", device)
        self.device = self._detect.device

    def predict(self, volume: Volume) -> Result:
        """Return the finding "Text burned into the image" with a box around each line, the surest first.

        Images are looked at from the whole series inwards (first, last, middle, quarters ...): five
        where text is found, else all of them. A series of more than 200 images without text in those
        looked at is "undetermined".
        """
        found, looked = look(volume.voxels, self._overlay)
        lines = distinct_places(found)
        everything = looked == volume.shape[0]
        return Result(
            findings=[finding_of(lines, everything_seen=everything)],
            notes={"images looked at": f"{looked} of {volume.shape[0]}", "lines of text": str(len(lines))},
        )

    def _overlay(self, image: Image) -> list[TextLine]:
        from orchestrator_burned_in_text.overlay import is_overlay

        picture = picture_of(image)
        return [line for line in self._detect(picture) if is_overlay(line, picture)]


def look(
    images: npt.NDArray[Any], lines_on: Callable[[Image], list[TextLine]]
) -> tuple[list[tuple[int, TextLine]], int]:
    """Return the lines found, each with the index of its image, and how many images were looked at."""
    found: list[tuple[int, TextLine]] = []
    for looked, index in enumerate(spread(len(images)), start=1):
        found += [(index, line) for line in lines_on(images[index])]
        if looked == MOST_IMAGES or (found and looked >= ENOUGH_IMAGES):
            return found, looked
    return found, len(images)


def picture_of(image: Image) -> Picture:
    """Return the image from 0 = black to 1 = white: 8 bits as they are, more bits between two percentiles."""
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
    """Yield 0 to count - 1, each once, so that any first few are spread over the whole: ends, middle, quarters."""
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


def distinct_places(found: Sequence[tuple[int, TextLine]]) -> list[tuple[int, TextLine]]:
    """Return each place once, with the image on which it is surest; the surest first."""
    kept: list[tuple[int, TextLine]] = []
    for index, line in sorted(found, key=lambda each: -each[1].score):
        if all(line.overlap(other) < SAME_PLACE for _, other in kept):
            kept.append((index, line))
    return kept


def finding_of(lines: Sequence[tuple[int, TextLine]], *, everything_seen: bool) -> Finding:
    """Return the finding: present where there are lines, absent where there are none and every image was seen."""
    name = codes["burned in text"]
    if not lines:
        return Finding(name, Presence.ABSENT if everything_seen else Presence.UNDETERMINED)
    regions = [
        Region.box(index, line.top, line.left, line.bottom, line.right, score=line.score)
        for index, line in lines[:MOST_REGIONS]
    ]
    return Finding(name, Presence.PRESENT, score=lines[0][1].score, regions=regions)


@hookimpl
def register_models(register: Register) -> None:
    """Offer the model to the host."""
    register(BurnedInText(), manifest=Path(__file__).with_name("model.toml"))
