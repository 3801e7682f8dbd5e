"""For the tests of a model's author: run it in this process, and say what must come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.dicom import check_intended, gather, read_instance
from orchestrator.domain.checks import check_result
from orchestrator.domain.model import Intended
from orchestrator.domain.result import Presence, Result, Segment
from orchestrator.sdk import Model
from orchestrator.testing.agreement import dice as dice_of
from orchestrator.testing.agreement import difference
from orchestrator.testing.series import SyntheticImages, SyntheticSeries


class Marked(Protocol):
    """Whatever knows where its lesion is: a synthetic series, a Phantom, a Projection."""

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(slice, row, column)."""


def run_model(
    model: Model,
    series: SyntheticSeries | SyntheticImages,
    *,
    weights: Path | None = None,
    manifest: Path | None = None,
) -> Result:
    """Return what the model says about the series, in this process and without a cage: for unit tests.

    The host's rules hold: the series must be one that the model is meant for and takes, the voxels are
    read-only, the result must lie on their grid. ``load`` is called first where the model has it, with
    ``weights`` and ``cpu``. manifest: the model.toml that says what the class leaves out.
    Raises UnsupportedInput, InvalidResult, ManifestError, and whatever the model raises.
    """
    told = _told(model, manifest)
    check_intended(gather([read_instance(path) for path in series.paths]), told.get("intended", Intended()))
    volume = series.read(told.get("accepts"))
    if hasattr(model, "load"):
        model.load(weights, "cpu")
    result = model.predict(volume)
    check_result(result, volume.shape)
    return result


def _told(model: Model, manifest: Path | None) -> dict[str, Any]:
    """Return for whom the model is and what it takes, where the class or the manifest says so."""
    said: dict[str, Any] = {}
    if manifest is not None:
        from orchestrator.worker import read_manifest

        said = read_manifest(manifest).described()
    return said | {key: getattr(model, key) for key in ("intended", "accepts") if hasattr(model, key)}


def assert_finds(
    result: Result, lesion: Marked | npt.NDArray[np.bool_], *, dice: float = 0.9, label: str | None = None
) -> None:
    """Return where a segment overlaps the lesion by at least this Dice coefficient.

    label: the segment that must do so; without it the one that overlaps most.
    Raises AssertionError, which says how the segment differs: mirrored, elsewhere, larger or smaller.
    """
    wanted = lesion if isinstance(lesion, np.ndarray) else lesion.mask
    segments = [segment for segment in result.segments if label in (None, segment.label)]
    if not segments:
        named = [segment.label for segment in result.segments]
        raise AssertionError(f"the result has no segment {label or ''!r}".replace(" ''", "") + f"; it has {named}")
    best = max(segments, key=lambda segment: _overlap(segment, wanted))
    reached = _overlap(best, wanted)
    if reached < dice:
        how = difference(best.mask, wanted, getattr(getattr(lesion, "phantom", lesion), "affine", None))
        raise AssertionError(f"segment {best.label!r} overlaps the lesion with Dice {reached:.3f}, not {dice:g}: {how}")


def _overlap(segment: Segment, wanted: npt.NDArray[np.bool_]) -> float:
    if segment.mask.shape != wanted.shape:
        raise AssertionError(
            f"segment {segment.label!r} has the shape {segment.mask.shape}, the lesion's grid {wanted.shape}"
        )
    return dice_of(segment.mask, wanted)


def assert_finds_nothing(result: Result) -> None:
    """Return where no segment has a voxel and no finding is present.

    Raises AssertionError naming what was found.
    """
    marked = [f"segment {segment.label!r}" for segment in result.segments if segment.mask.any()]
    present = [f"finding {item.name.meaning!r}" for item in result.findings if item.presence is Presence.PRESENT]
    if marked or present:
        raise AssertionError(f"expected nothing, found {', '.join([*marked, *present])}")
