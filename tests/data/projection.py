"""Images without a place in the patient, one file each (orchestrator.testing.Projection)."""

from pathlib import Path
from typing import Any

from orchestrator.testing import Projection

LESION = (slice(10, 20), slice(30, 44))
"""Rows and columns of the bright square in each image."""


def cr_image(folder: Path, *, number: int = 1, seed: str = "cr", modality: str = "CR", **parameters: Any) -> Path:
    """Write one radiograph (CR, DX, MG), 12 bits in 16, and return its path; the lesion is bright when shown."""
    return _save(folder, number, modality=modality, seed=seed, **parameters)


def us_cine(
    folder: Path, *, frames: int = 5, rows: int = 48, columns: int = 64, seed: str = "us", **attributes: Any
) -> Path:
    """Write one colour ultrasound loop and return its path; the lesion is white, the rest dark red."""
    return _save(folder, 1, modality="US", images=frames, rows=rows, columns=columns, seed=seed, **attributes)


def secondary_capture(folder: Path, *, rows: int = 64, columns: int = 64, seed: str = "sc", **attributes: Any) -> Path:
    """Write one RGB screen capture and return its path."""
    return _save(folder, 1, modality="OT", rows=rows, columns=columns, seed=seed, **attributes)


def _save(folder: Path, number: int, **given: Any) -> Path:
    """Write one image; what is no parameter of Projection is an attribute of the image."""
    parameters = {name: given.pop(name) for name in list(given) if name in Projection.__dataclass_fields__}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"IM{number:04}.dcm"
    Projection(**parameters, attributes=given).image(number).save_as(path, enforce_file_format=True)
    return path
