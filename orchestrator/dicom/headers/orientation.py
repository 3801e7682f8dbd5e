"""Which way of the patient the rows and the columns of an image run, as letters: L, R, A, P, H, F."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.domain.series import Headers

Letters = tuple[str, str]
"""Towards the right and towards the lower edge of the image, the main direction first: ``("L", "PH")``."""

_OPPOSITE = str.maketrans("LRAPHF", "RLPAFH")
_TOWARDS = ("LR", "PA", "HF")
"""Letters of +x and -x, +y and -y, +z and -z in LPS."""
_SMALLEST_PART = 0.25
"""Smallest component of a direction that has a letter of its own: one that is 15 degrees off an axis has two."""


def orientation_letters(headers: Headers) -> Letters | None:
    """Return Patient Orientation (PS3.3 C.7.6.1.1.1), else the directions of Image Orientation (Patient).

    None where the image states neither, or its letters are not those of a person.
    """
    stated = [str(value).strip() for value in headers.get("PatientOrientation", ())]
    if len(stated) == len(("right", "down")):
        return (stated[0], stated[1]) if all(each and set(each) <= set("LRAPHF") for each in stated) else None
    cosines = [value for value in headers.get("ImageOrientationPatient", ()) if not isinstance(value, str)]
    return letters_of(cosines) if len(cosines) == len(("x", "y", "z")) * 2 else None


def letters_of(cosines: Sequence[float]) -> Letters | None:
    """Return the letters of six direction cosines (LPS); None for directions without a length."""
    right, down = (_letters(np.array(part, dtype=np.float64)) for part in (cosines[:3], cosines[3:]))
    return (right, down) if right and down else None


def opposite(letters: str) -> str:
    """Return the letters of the opposite direction."""
    return letters.translate(_OPPOSITE)


def _letters(direction: np.ndarray) -> str:
    axes = [int(axis) for axis in np.argsort(-np.abs(direction), kind="stable")]
    parts = [axis for axis in axes if abs(direction[axis]) >= _SMALLEST_PART]
    return "".join(_TOWARDS[axis][int(direction[axis] < 0)] for axis in parts)
