"""Runs a model in the test's process and checks its result."""

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


class HasMask(Protocol):
    """An object with the mask of its lesion: a synthetic series, a Phantom or a Projection."""

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
    """Run the model on the series in this process, without sandbox, and return its result: for unit tests.

    The rules of the host apply: the series must be within the intended use and accepted by the model, voxels are
    read-only, the result must fit the grid. If the model has ``load``, it is called with ``weights`` and ``cpu``.
    manifest: the model.toml with the declarations that the class lacks.
    Raises UnsupportedInput, InvalidResult, ManifestError, and any exception of the model.
    """
    declarations = _declarations(model, manifest)
    check_intended(gather([read_instance(path) for path in series.paths]), declarations.get("intended", Intended()))
    volume = series.read(declarations.get("accepts"))
    if hasattr(model, "load"):
        model.load(weights, "cpu")
    result = model.predict(volume)
    check_result(result, volume.shape)
    return result


def _declarations(model: Model, manifest: Path | None) -> dict[str, Any]:
    """Return ``intended`` and ``accepts`` from the class, else from the manifest; absent if neither has them."""
    declarations: dict[str, Any] = {}
    if manifest is not None:
        from orchestrator.worker import read_manifest

        declarations = read_manifest(manifest).described()
    return declarations | {key: getattr(model, key) for key in ("intended", "accepts") if hasattr(model, key)}


def assert_finds(
    result: Result, lesion: HasMask | npt.NDArray[np.bool_], *, dice: float = 0.9, label: str | None = None
) -> None:
    """Assert that a segment overlaps the lesion with at least this Dice coefficient.

    label: the segment to check; by default the segment with the largest overlap.
    Raises AssertionError with the difference in words: mirrored, moved, larger or smaller.
    """
    expected = lesion if isinstance(lesion, np.ndarray) else lesion.mask
    segments = [segment for segment in result.segments if label in (None, segment.label)]
    if not segments:
        labels = [segment.label for segment in result.segments]
        raise AssertionError(f"the result has no segment {label or ''!r}".replace(" ''", "") + f"; it has {labels}")
    best = max(segments, key=lambda segment: _overlap(segment, expected))
    score = _overlap(best, expected)
    if score < dice:
        how = difference(best.mask, expected, getattr(getattr(lesion, "phantom", lesion), "affine", None))
        raise AssertionError(f"segment {best.label!r} overlaps the lesion with Dice {score:.3f}, not {dice:g}: {how}")


def _overlap(segment: Segment, expected: npt.NDArray[np.bool_]) -> float:
    if segment.mask.shape != expected.shape:
        raise AssertionError(
            f"segment {segment.label!r} has the shape {segment.mask.shape}, the lesion's grid {expected.shape}"
        )
    return dice_of(segment.mask, expected)


def assert_finds_nothing(result: Result) -> None:
    """Assert that no segment has voxels and no finding is present.

    Raises AssertionError that names the segments and findings.
    """
    segments = [f"segment {segment.label!r}" for segment in result.segments if segment.mask.any()]
    findings = [f"finding {item.name.meaning!r}" for item in result.findings if item.presence is Presence.PRESENT]
    if segments or findings:
        raise AssertionError(f"expected nothing, found {', '.join([*segments, *findings])}")
