"""Series for the check of a model: synthetic ones that suit it, and those of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.app.batch import run
from orchestrator.dicom import is_image
from orchestrator.domain.model import Geometry, Intended, ModelDescription
from orchestrator.testing import Lesion, synthetic_images, synthetic_series

SCANNED = ("CT", "MR", "PT")
PROJECTED = ("CR", "DX", "MG", "US", "OT")
LESION = Lesion(centre_mm=(13.0, 15.0, 12.0), radii_mm=(9.0, 9.0, 9.0))
"""Farther from the middle than its radius on every axis, so that its mirror images never overlap it."""
SLICES = 24
GRID: Mapping[str, Any] = {"rows": 64, "columns": 48, "spacing": (3.0, 1.5, 1.25), "lesion": LESION}
FRAMES = 5


@dataclass(frozen=True, slots=True)
class Specimen:
    """One series with a title for people.

    lesion: mask (slice, row, column) of a known bright lesion.
    multi_frame: writes the series as one multi-frame object into a folder; None if that is not possible.
    """

    title: str
    paths: tuple[Path, ...]
    lesion: npt.NDArray[np.bool_] | None = None
    multi_frame: Callable[[Path], tuple[Path, ...]] | None = None


def synthetic(model: ModelDescription, folder: Path) -> Specimen | None:
    """Return a synthetic series that the model is intended for, None without a synthetic series of its modalities."""
    choices = PROJECTED if model.accepts.geometry is Geometry.IMAGE else SCANNED
    modality = next((name for name in choices if name in (model.intended.modality or choices)), None)
    if modality is None:
        return None
    options = {"modality": modality, "attributes": _attributes(model.intended)}
    if modality in PROJECTED:
        return _projected(options, folder, loops="US" in (model.intended.modality or PROJECTED))
    return _scanned({**options, **GRID, "slices": max(SLICES, model.accepts.minimum_slices)}, folder)


def _scanned(options: Mapping[str, Any], folder: Path) -> Specimen:
    series = synthetic_series(folder, **options)

    def multi_frame(into: Path) -> tuple[Path, ...]:
        return synthetic_series(into, multi_frame=True, **options).paths

    writer = multi_frame if options["modality"] in {"CT", "MR"} else None
    return Specimen(f"synthetic {options['modality']}", series.paths, series.mask, writer)


def _projected(options: Mapping[str, Any], folder: Path, *, loops: bool) -> Specimen:
    images = synthetic_images(folder, **options)

    def multi_frame(into: Path) -> tuple[Path, ...]:
        return synthetic_images(into, **{**options, "modality": "US", "images": FRAMES}).paths

    return Specimen(f"synthetic {options['modality']}", images.paths, images.mask, multi_frame if loops else None)


def _attributes(intended: Intended) -> dict[str, Any]:
    """Return header values that make the series one that the model is intended for."""
    headers: dict[str, Any] = {}
    if intended.body_part:
        headers["BodyPartExamined"] = intended.body_part[0]
    if intended.sex:
        headers["PatientSex"] = intended.sex[0]
    if intended.minimum_age_years is not None or intended.maximum_age_years is not None:
        low, high = intended.minimum_age_years or 0.0, intended.maximum_age_years
        years = int((low + high) / 2) if high is not None else int(low) + 1
        headers |= {"PatientAge": f"{years:03}Y", "PatientBirthDate": ""}
    if intended.contrast:
        headers["ContrastBolusAgent"] = "Iodine"
    return headers


def of_folder(folder: Path) -> Iterator[Specimen]:
    """Yield the image series of a folder.

    Raises UserError for a missing folder.
    """
    for series_uid, instances in run.read_folder(folder).series.items():
        images = tuple(item.path for item in run.select_newest(instances) if is_image(item))
        if images:
            yield Specimen(f"series …{series_uid[-12:]}", images)
