"""The series that a model is tried on: synthetic ones that suit it, and those of a folder."""

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
"""Off the middle on every axis by more than its radius: mirrored along any of them, it lies elsewhere."""
SLICES = 24
GRID: Mapping[str, Any] = {"rows": 64, "columns": 48, "spacing": (3.0, 1.5, 1.25), "lesion": LESION}
FRAMES = 5


@dataclass(frozen=True, slots=True)
class Specimen:
    """One series. ``title``: for people.

    lesion: (slice, row, column) where a bright lesion is known to be.
    multi_frame: writes the same as one multi-frame object into a folder; None where the kit cannot.
    """

    title: str
    paths: tuple[Path, ...]
    lesion: npt.NDArray[np.bool_] | None = None
    multi_frame: Callable[[Path], tuple[Path, ...]] | None = None


def synthetic(model: ModelDescription, folder: Path) -> Specimen | None:
    """Return a synthetic series for which the model is meant, None where the kit makes none of its modalities."""
    made = PROJECTED if model.accepts.geometry is Geometry.IMAGE else SCANNED
    modality = next((name for name in made if name in (model.intended.modality or made)), None)
    if modality is None:
        return None
    wanted = {"modality": modality, "attributes": _attributes(model.intended)}
    if modality in PROJECTED:
        return _projected(wanted, folder, loops="US" in (model.intended.modality or PROJECTED))
    return _scanned({**wanted, **GRID, "slices": max(SLICES, model.accepts.minimum_slices)}, folder)


def _scanned(wanted: Mapping[str, Any], folder: Path) -> Specimen:
    series = synthetic_series(folder, **wanted)

    def multi_frame(into: Path) -> tuple[Path, ...]:
        return synthetic_series(into, multi_frame=True, **wanted).paths

    enhanced = multi_frame if wanted["modality"] in {"CT", "MR"} else None
    return Specimen(f"synthetic {wanted['modality']}", series.paths, series.mask, enhanced)


def _projected(wanted: Mapping[str, Any], folder: Path, *, loops: bool) -> Specimen:
    images = synthetic_images(folder, **wanted)

    def multi_frame(into: Path) -> tuple[Path, ...]:
        return synthetic_images(into, **{**wanted, "modality": "US", "images": FRAMES}).paths

    return Specimen(f"synthetic {wanted['modality']}", images.paths, images.mask, multi_frame if loops else None)


def _attributes(intended: Intended) -> dict[str, Any]:
    """Return what the headers must say so that the series is one for which the model is meant."""
    said: dict[str, Any] = {}
    if intended.body_part:
        said["BodyPartExamined"] = intended.body_part[0]
    if intended.sex:
        said["PatientSex"] = intended.sex[0]
    if intended.minimum_age_years is not None or intended.maximum_age_years is not None:
        low, high = intended.minimum_age_years or 0.0, intended.maximum_age_years
        years = int((low + high) / 2) if high is not None else int(low) + 1
        said |= {"PatientAge": f"{years:03}Y", "PatientBirthDate": ""}
    if intended.contrast:
        said["ContrastBolusAgent"] = "Iodine"
    return said


def of_folder(folder: Path) -> Iterator[Specimen]:
    """Yield the series with images of a folder.

    Raises UserError where the folder is not there.
    """
    for series_uid, instances in run.read_folder(folder).series.items():
        images = tuple(item.path for item in run.newest(instances) if is_image(item))
        if images:
            yield Specimen(f"series …{series_uid[-12:]}", images)
