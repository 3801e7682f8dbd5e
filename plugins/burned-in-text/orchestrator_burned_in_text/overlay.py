"""Distinguishes text that a computer drew on an image from anatomy and lead letters.

The network was trained on photographs: it takes hila, ribs and spines for text, with scores as high as for real text.
Text that a computer drew has edges one or two pixels wide, unlike anatomy, noise and lead letters. This was measured
on ultrasound with test names (also scaled by 0.6 to 3 and as JPEG) and on radiographs, MR and scintigrams without
text: MODEL_CARD.md.
"""

from __future__ import annotations

import numpy as np

from orchestrator_burned_in_text.detector import Picture, TextLine

LEAST_CRISP = 0.1
LEAST_CONTRAST = 0.06
"""Smallest contrast, 0..1; below it, noise has edges as steep as text."""
SMALLEST_TYPE = 6.0
"""Smallest height of readable text, pixels."""
LARGEST_TYPE = 0.12
"""Largest height of a line as a fraction of the longer side of the image."""
MARKER, MARKER_ASPECT = 0.035, 1.5
"""A single letter larger than this is a side marker, which nearly every radiograph has; it identifies nobody."""


def is_overlay(line: TextLine, picture: Picture) -> bool:
    """Return whether the line on the picture has the size and the edges of text drawn by a computer."""
    height, width = sorted((line.height, line.width))  # text may be vertical
    part = height / max(picture.shape)
    if height < SMALLEST_TYPE or part > LARGEST_TYPE:
        return False
    if part > MARKER and width < MARKER_ASPECT * height:
        return False
    return crispness(line, picture) >= LEAST_CRISP


def crispness(line: TextLine, picture: Picture) -> float:
    """Return the fraction of the line's pixels where half the contrast changes within the width of an edge.

    This is the median over windows as long as the line is high, because the contrast of a name varies from air to
    bone. An edge is 2 pixels wide in small text and up to 6 in large text, which is often enlarged.
    """
    top, left = max(round(line.top), 0), max(round(line.left), 0)
    part = picture[top : round(line.bottom) + 1, left : round(line.right) + 1]
    if part.shape[0] > part.shape[1]:
        part = part.T
    height, length = part.shape
    count = max(round(length / max(height, 1)), 1)
    values = [_window_crispness(window) for window in np.array_split(part, count, axis=1)]
    known_values = [value for value in values if value is not None]
    return float(np.median(known_values)) if known_values else 0.0


def _window_crispness(window: Picture) -> float | None:
    """Return the crispness of one window, None where its contrast is too small."""
    half = int(np.clip(np.ceil(min(window.shape) / 30), 1, 3))
    low, high = np.quantile(window, (0.02, 0.98))
    if min(window.shape) < 2 * half + 2 or high - low < LEAST_CONTRAST:
        return None
    down = np.abs(window[2 * half :, half:-half] - window[: -2 * half, half:-half])
    across = np.abs(window[half:-half, 2 * half :] - window[half:-half, : -2 * half])
    return float((np.maximum(down, across) > (high - low) / 2).mean())
