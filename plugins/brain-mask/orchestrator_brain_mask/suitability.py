"""Decides whether images are what the networks were made for: a whole adult head, T1-weighted.

The networks cannot say so themselves: they find a "brain" of plausible size in noise, in a sphere and
inside the skull of a CT. So the images are looked at before, and what was found is looked at after.
The limits were set on average and single-subject T1 images, thick-sliced, biased and inverted
variants of them, tissue maps with T2, FLAIR and PD contrast, a head CT and phantoms (MODEL_CARD.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from orchestrator.sdk import UnsupportedInput, Volume
from orchestrator_brain_mask.grid import Field, Frame
from orchestrator_brain_mask.segmentation import Brain, Mask

LARGEST_SPACING_MM = 7.0
FIELD_MM = (100.0, 400.0)
LONGEST_T1_ECHO_MS = 45.0
"""T1-weighted sequences read the echo early; T2, FLAIR and diffusion wait for 60 ms and more."""

VOLUME_ML = (600.0, 2200.0)
EXTENT_MM = {"right to left": (95.0, 175.0), "front to back": (115.0, 215.0), "top to bottom": (85.0, 190.0)}
FILL = (0.36, 0.66)
"""Part of its bounding box that a brain fills; an ellipsoid fills 0.52."""
MOST_DOUBT = 0.03
MOST_CUT_OFF = 0.03
"""Part of the brain's surface that may lie on the edge of the images."""

POINTS = 96
DEEP_MM = 12.0
SHALLOW_MM = (2.0, 8.0)
BIAS_MM = 15.0
LEAST_CONTRAST = 0.05
FOLD_MM = (2.0, 8.0)
LEAST_FOLDING = 0.3


def check_images(volume: Volume, frame: Frame) -> None:
    """Return where the images could be a T1-weighted series of a whole head.

    Raises UnsupportedInput.
    """
    if volume.modality and volume.modality != "MR":
        raise UnsupportedInput(f"the modality is {volume.modality}, this model reads T1-weighted MR only")
    spacing = np.linalg.norm(frame.to_frame, axis=0)
    if spacing.max() > LARGEST_SPACING_MM:
        raise UnsupportedInput(f"voxels are {spacing.max():.1f} mm long, at most {LARGEST_SPACING_MM:g} mm can be read")
    box = frame.box()
    for mm in (spacing * volume.shape).min(), (box.high - box.low).max():
        if not FIELD_MM[0] <= mm <= FIELD_MM[1]:
            low, high = FIELD_MM
            raise UnsupportedInput(
                f"the images cover {mm:.0f} mm along one axis; a whole head needs {low:g}-{high:g} mm"
            )
    echo = _longest_echo_ms(volume)
    if echo > LONGEST_T1_ECHO_MS:
        raise UnsupportedInput(f"an echo time of {echo:g} ms is not that of a T1-weighted sequence")


def check_brain(brain: Brain, volume: Volume, frame: Frame) -> None:
    """Return where what the networks found looks like a brain, whole and with T1 contrast.

    Raises UnsupportedInput.
    """
    ml = np.count_nonzero(brain.mask) * (volume.voxel_ml or 0.0)
    if not VOLUME_ML[0] <= ml <= VOLUME_ML[1]:
        raise UnsupportedInput(f"no brain of plausible size: {ml:.0f} ml were found, {_between(VOLUME_ML)} ml expected")
    if brain.doubt > MOST_DOUBT:
        raise UnsupportedInput(f"the outline of the brain is unclear: {brain.doubt:.1%} of it is in doubt")
    if (cut := _cut_off(brain.mask)) > MOST_CUT_OFF:
        raise UnsupportedInput(f"the brain is cut off: {cut:.0%} of its surface lies on the edge of the images")
    look = _look(brain, volume, frame)
    _check_form(look)
    _check_contrast(look)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The brain's bounding box in POINTS ** 3 cells (R, A, S): intensities, brain, depth below its surface in mm."""

    values: Field
    brain: Mask
    depth: npt.NDArray[np.float64]
    cell_mm: npt.NDArray[np.float64]


def _look(brain: Brain, volume: Volume, frame: Frame) -> _Look:
    box = frame.around(brain.mask)
    inside = frame.sample(brain.mask.astype(np.uint8), box, POINTS) > 0.5
    cell = (box.high - box.low) / POINTS
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=cell)[1:-1, 1:-1, 1:-1]
    return _Look(frame.sample(volume.voxels, box, POINTS), inside, depth, cell)


def _check_form(look: _Look) -> None:
    for (name, (low, high)), mm in zip(EXTENT_MM.items(), look.cell_mm * POINTS, strict=True):
        if not low <= mm <= high:
            raise UnsupportedInput(f"no brain: what was found is {mm:.0f} mm from {name}, {low:g}-{high:g} mm expected")
    fill = look.brain.mean()
    if not FILL[0] <= fill <= FILL[1]:
        raise UnsupportedInput(
            f"no brain: what was found fills {fill:.0%} of its box, {FILL[0]:.0%}-{FILL[1]:.0%} expected"
        )


def _check_contrast(look: _Look) -> None:
    """Refuse what is not folded like a brain, or not brighter in its depth (white matter) than near its surface.

    Intensities are taken relative to their surroundings first, so that a coil that sees the surface
    brighter does not turn the answer round.
    """
    deviation = float(look.values[look.brain].std())
    if deviation == 0:
        raise UnsupportedInput("no brain: what was found has no contrast inside")
    coarse, fine = (_smoothed(look, mm) for mm in reversed(FOLD_MM))
    folding = float((fine - coarse)[look.depth > FOLD_MM[0]].std()) / deviation
    if folding < LEAST_FOLDING:
        raise UnsupportedInput(
            f"no brain: what was found has no folds inside ({folding:.2f}, {LEAST_FOLDING:g} expected)"
        )
    level = look.values / np.maximum(_smoothed(look, BIAS_MM), 1e-6)
    deep = np.median(level[look.depth > DEEP_MM])
    shallow = np.median(level[(look.depth > SHALLOW_MM[0]) & (look.depth < SHALLOW_MM[1])])
    contrast = float(deep - shallow) / float(level[look.brain].std())
    if contrast < LEAST_CONTRAST:
        raise UnsupportedInput(
            "not T1-weighted: white matter is not brighter than grey matter "
            f"({contrast:+.2f}, {LEAST_CONTRAST:+g} expected)"
        )


def _smoothed(look: _Look, mm: float) -> Field:
    """Return the mean intensity of the brain around each cell, what is outside left out."""
    sigma = mm / look.cell_mm
    weight = ndimage.gaussian_filter(look.brain.astype(np.float32), sigma, truncate=3)
    total = ndimage.gaussian_filter(np.where(look.brain, look.values, 0), sigma, truncate=3)
    result: Field = total / np.maximum(weight, 1e-3)
    return result


def _cut_off(mask: Mask) -> float:
    surface = np.count_nonzero(mask & ~ndimage.binary_erosion(mask, border_value=0))
    on_edge = sum(np.count_nonzero(mask.take(index, axis)) for axis in range(3) for index in (0, -1))
    return on_edge / surface


def _longest_echo_ms(volume: Volume) -> float:
    """Return the Echo Time (0018,0081) in ms, the longest where there are several, 0 where none is given."""
    stated = volume.facts.get("EchoTime", 0.0)
    return max(float(value) for value in (stated if isinstance(stated, tuple) else (stated,)))


def _between(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g}-{limits[1]:g}"
