"""Checks that the images show a whole adult head with T1 weighting, which the networks require.

The networks themselves find a "brain" of plausible size in noise, in a sphere and inside the skull of a CT.
So the images are checked before, and the result after. The limits were derived from average and single-subject T1
images, thick-slice, biased and inverted variants of them, tissue maps with T2, FLAIR and PD contrast, a head CT and
phantoms (MODEL_CARD.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from orchestrator.sdk import UnsupportedInput, Volume
from orchestrator_brain_mask.grid import Field, HeadAxes
from orchestrator_brain_mask.segmentation import Brain, Mask

LARGEST_SPACING_MM = 7.0
FIELD_MM = (100.0, 400.0)
LONGEST_T1_ECHO_MS = 45.0
"""Upper limit for T1-weighted sequences; T2, FLAIR and diffusion have 60 ms and more."""

VOLUME_ML = (600.0, 2200.0)
EXTENT_MM = {"right to left": (95.0, 175.0), "front to back": (115.0, 215.0), "top to bottom": (85.0, 190.0)}
FILL = (0.36, 0.66)
"""Fraction of its bounding box that a brain fills; an ellipsoid fills 0.52."""
MOST_DOUBT = 0.03
MOST_CUT_OFF = 0.03
"""Largest fraction of the brain's surface on the edge of the images."""

POINTS = 96
DEEP_MM = 12.0
SHALLOW_MM = (2.0, 8.0)
BIAS_MM = 15.0
LEAST_CONTRAST = 0.05
FOLD_MM = (2.0, 8.0)
LEAST_FOLDING = 0.3


def check_images(volume: Volume, axes: HeadAxes) -> None:
    """Check that the images can be a T1-weighted series of a whole head.

    Raises UnsupportedInput.
    """
    if volume.modality and volume.modality != "MR":
        raise UnsupportedInput(f"the modality is {volume.modality}; this model reads T1-weighted MR only")
    spacing = np.linalg.norm(axes.matrix, axis=0)
    if spacing.max() > LARGEST_SPACING_MM:
        raise UnsupportedInput(
            f"the voxels are {spacing.max():.1f} mm long; this model accepts at most {LARGEST_SPACING_MM:g} mm"
        )
    box = axes.box()
    for mm in (spacing * volume.shape).min(), (box.high - box.low).max():
        if not FIELD_MM[0] <= mm <= FIELD_MM[1]:
            low, high = FIELD_MM
            raise UnsupportedInput(
                f"the images cover {mm:.0f} mm along one axis; a whole head needs {low:g}-{high:g} mm"
            )
    echo = _longest_echo_ms(volume)
    if echo > LONGEST_T1_ECHO_MS:
        raise UnsupportedInput(f"the images are not T1-weighted: their echo time is {echo:g} ms")


def check_brain(brain: Brain, volume: Volume, axes: HeadAxes) -> None:
    """Check that the segmented region is plausible: a whole brain with T1 contrast.

    Raises UnsupportedInput.
    """
    ml = np.count_nonzero(brain.mask) * (volume.voxel_ml or 0.0)
    if not VOLUME_ML[0] <= ml <= VOLUME_ML[1]:
        raise UnsupportedInput(f"no brain of plausible size: found {ml:.0f} ml, expected {_between(VOLUME_ML)} ml")
    if brain.doubt > MOST_DOUBT:
        raise UnsupportedInput(f"the outline of the brain is unclear: {brain.doubt:.1%} of it is doubtful")
    if (cut := _cut_off(brain.mask)) > MOST_CUT_OFF:
        raise UnsupportedInput(f"the brain is cut off: {cut:.0%} of its surface lies on the edge of the images")
    sample = _sample(brain, volume, axes)
    _check_shape(sample)
    _check_contrast(sample)


@dataclass(frozen=True, slots=True, eq=False)
class _BrainSample:
    """The brain's bounding box in POINTS ** 3 cells (R, A, S): intensities, mask, depth below the surface in mm."""

    values: Field
    brain: Mask
    depth: npt.NDArray[np.float64]
    cell_mm: npt.NDArray[np.float64]


def _sample(brain: Brain, volume: Volume, axes: HeadAxes) -> _BrainSample:
    box = axes.around(brain.mask)
    inside = axes.sample(brain.mask.astype(np.uint8), box, POINTS) > 0.5
    cell = (box.high - box.low) / POINTS
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=cell)[1:-1, 1:-1, 1:-1]
    return _BrainSample(axes.sample(volume.voxels, box, POINTS), inside, depth, cell)


def _check_shape(sample: _BrainSample) -> None:
    for (name, (low, high)), mm in zip(EXTENT_MM.items(), sample.cell_mm * POINTS, strict=True):
        if not low <= mm <= high:
            raise UnsupportedInput(f"no brain: the region is {mm:.0f} mm from {name}, expected {low:g}-{high:g} mm")
    fill = sample.brain.mean()
    if not FILL[0] <= fill <= FILL[1]:
        raise UnsupportedInput(
            f"no brain: the region fills {fill:.0%} of its box, expected {FILL[0]:.0%}-{FILL[1]:.0%}"
        )


def _check_contrast(sample: _BrainSample) -> None:
    """Refuse a region without folds, or whose depth (white matter) is not brighter than its surface.

    Intensities are relative to their surroundings, so that the bias of a surface coil does not change the result.
    """
    deviation = float(sample.values[sample.brain].std())
    if deviation == 0:
        raise UnsupportedInput("no brain: the region has no contrast")
    coarse, fine = (_smooth(sample, mm) for mm in reversed(FOLD_MM))
    folding = float((fine - coarse)[sample.depth > FOLD_MM[0]].std()) / deviation
    if folding < LEAST_FOLDING:
        raise UnsupportedInput(f"no brain: the region has no folds ({folding:.2f}, expected {LEAST_FOLDING:g})")
    level = sample.values / np.maximum(_smooth(sample, BIAS_MM), 1e-6)
    deep = np.median(level[sample.depth > DEEP_MM])
    shallow = np.median(level[(sample.depth > SHALLOW_MM[0]) & (sample.depth < SHALLOW_MM[1])])
    contrast = float(deep - shallow) / float(level[sample.brain].std())
    if contrast < LEAST_CONTRAST:
        raise UnsupportedInput(
            "not T1-weighted: white matter is not brighter than grey matter "
            f"({contrast:+.2f}, expected {LEAST_CONTRAST:+g})"
        )


def _smooth(sample: _BrainSample, mm: float) -> Field:
    """Return the smoothed intensity of the brain around each cell, without cells outside of it."""
    sigma = mm / sample.cell_mm
    weight = ndimage.gaussian_filter(sample.brain.astype(np.float32), sigma, truncate=3)
    total = ndimage.gaussian_filter(np.where(sample.brain, sample.values, 0), sigma, truncate=3)
    result: Field = total / np.maximum(weight, 1e-3)
    return result


def _cut_off(mask: Mask) -> float:
    surface = np.count_nonzero(mask & ~ndimage.binary_erosion(mask, border_value=0))
    on_edge = sum(np.count_nonzero(mask.take(index, axis)) for axis in range(3) for index in (0, -1))
    return on_edge / surface


def _longest_echo_ms(volume: Volume) -> float:
    """Return the longest Echo Time (0018,0081) in ms, 0 where absent."""
    times = volume.facts.get("EchoTime", 0.0)
    return max(float(value) for value in (times if isinstance(times, tuple) else (times,)))


def _between(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g}-{limits[1]:g}"
