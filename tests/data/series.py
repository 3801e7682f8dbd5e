"""Builders of whole series, each with a lesion whose place in the patient is known (orchestrator.testing.Phantom)."""

from pathlib import Path
from typing import Any

from orchestrator.testing import Patient, Phantom
from tests.data.codecs import ENCODERS, recompress
from tests.data.enhanced import enhanced_ct, enhanced_mr
from tests.data.projection import cr_image, secondary_capture, us_cine

__all__ = [
    "Patient",
    "Phantom",
    "cr_image",
    "ct_series",
    "enhanced_ct",
    "enhanced_mr",
    "mr_series",
    "pet_series",
    "secondary_capture",
    "us_cine",
]


def ct_series(folder: Path, **parameters: Any) -> list[Path]:
    """Write a CT series, 12 bits in 16 unless told otherwise, and return its paths; parameters are Phantom's."""
    return write(folder, **({"modality": "CT", "intercept": -1024.0} | parameters))


def mr_series(folder: Path, **parameters: Any) -> list[Path]:
    """Write an MR series without any rescale and return its paths."""
    unscaled = {"slope": 1.0, "intercept": None, "bits": (16, 12), "signed": False}
    return write(folder, **({"modality": "MR"} | unscaled | parameters))


def pet_series(folder: Path, **parameters: Any) -> list[Path]:
    """Write a PET series in Bq/ml whose slope differs from slice to slice and return its paths."""
    slices = parameters.get("slices", 20)
    slopes = [0.5 + 0.137 * (index % 7) for index in range(slices)]
    return write(folder, **({"modality": "PT", "slope": slopes, "intercept": 0.0} | parameters))


def write(
    folder: Path, *, transfer_syntax: str = "1.2.840.10008.1.2.1", fragments: int = 1, **parameters: Any
) -> list[Path]:
    """Write a Phantom in any transfer syntax that the kit or imagecodecs can encode."""
    if transfer_syntax not in ENCODERS:
        return Phantom(transfer_syntax=transfer_syntax, **parameters).write(folder)
    return [recompress(path, transfer_syntax, fragments) for path in Phantom(**parameters).write(folder)]
