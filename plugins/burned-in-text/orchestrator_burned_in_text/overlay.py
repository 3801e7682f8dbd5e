"""Tells type that a computer drew over an image from anatomy and lead letters that look like type.

The network was trained on photographs: the folds of a hilum, ribs and a spine are lines of text to it,
with scores as high as real ones. Type that was drawn over an image has edges one or two pixels wide
whatever the image shows; anatomy, noise and letters of lead have not. Measured on ultrasounds with
test names (also at 0.6 to 3 times their size and as JPEG) and on radiographs, MR and scintigrams
without any: MODEL_CARD.md.
"""

from __future__ import annotations

import numpy as np

from orchestrator_burned_in_text.detector import Picture, TextLine

LEAST_CRISP = 0.1
LEAST_CONTRAST = 0.06
"""Between black and white; below, noise has edges as steep as type."""
SMALLEST_TYPE = 6.0
"""Pixels; what is smaller cannot be read."""
LARGEST_TYPE = 0.12
"""Height of a line as a part of the longer side of the image."""
MARKER, MARKER_ASPECT = 0.035, 1.5
"""A lone letter larger than this is a side marker: it identifies nobody, and nearly every radiograph has one."""


def is_overlay(line: TextLine, picture: Picture) -> bool:
    """Return whether the line on the picture has the size and the edges of type drawn by a computer."""
    height, width = sorted((line.height, line.width))  # type may run from top to bottom too
    part = height / max(picture.shape)
    if height < SMALLEST_TYPE or part > LARGEST_TYPE:
        return False
    if part > MARKER and width < MARKER_ASPECT * height:
        return False
    return crispness(line, picture) >= LEAST_CRISP


def crispness(line: TextLine, picture: Picture) -> float:
    """Return the part of the line's pixels at which half the contrast is crossed within the width of an edge.

    Taken in windows as long as the line is high, and the median of them: a name that runs from air over
    bone has another contrast at each letter. An edge is 2 pixels wide in small type and up to 6 in large
    type, which was often enlarged.
    """
    top, left = max(round(line.top), 0), max(round(line.left), 0)
    part = picture[top : round(line.bottom) + 1, left : round(line.right) + 1]
    if part.shape[0] > part.shape[1]:
        part = part.T
    height, length = part.shape
    count = max(round(length / max(height, 1)), 1)
    windows = [_crossed(window) for window in np.array_split(part, count, axis=1)]
    seen = [crossed for crossed in windows if crossed is not None]
    return float(np.median(seen)) if seen else 0.0


def _crossed(window: Picture) -> float | None:
    """Return the crispness of one window, None where it has too little contrast to tell."""
    half = int(np.clip(np.ceil(min(window.shape) / 30), 1, 3))
    low, high = np.quantile(window, (0.02, 0.98))
    if min(window.shape) < 2 * half + 2 or high - low < LEAST_CONTRAST:
        return None
    down = np.abs(window[2 * half :, half:-half] - window[: -2 * half, half:-half])
    across = np.abs(window[half:-half, 2 * half :] - window[half:-half, : -2 * half])
    return float((np.maximum(down, across) > (high - low) / 2).mean())
