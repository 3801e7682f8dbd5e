"""Stores the same body in other orders and orientations: findings must keep their place in the patient.

Voxels are never interpolated: axes are swapped or reversed, which changes only the array that the model gets.
A model that reads ``Volume.affine`` finds the same; a model that treats rows and columns as directions in the
patient does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import GridAnswer
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.app.models.contract.places import NEAR, Place, find_places, merge, mirrors
from orchestrator.testing import Stack, dice
from orchestrator.testing.agreement import axis_name, mirroring
from orchestrator.testing.stack import is_upright

TURNS = {
    "slices and columns reversed": ((0, 1, 2), (0, 2)),  # an axial series becomes feet first
    "rows and columns reversed": ((0, 1, 2), (1, 2)),  # ... prone
    "cut along its columns": ((2, 0, 1), (0, 1)),  # ... sagittal
    "cut along its rows": ((1, 0, 2), (1,)),  # ... coronal
}
SEES_LESION = 0.5
ADVICE = "Rows, columns and slices are not directions in the patient: read Volume.affine or set [input] orientation"


def rotation() -> npt.NDArray[np.float64]:
    """Return a (3, 3) rotation of the patient: 20 degrees about the head-foot axis, then 15 about left-right."""
    about_feet, about_side = np.radians(20), np.radians(15)
    cos, sin = np.cos(about_feet), np.sin(about_feet)
    first = np.array([(cos, -sin, 0), (sin, cos, 0), (0, 0, 1)])
    cos, sin = np.cos(about_side), np.sin(about_side)
    return np.asarray(np.array([(1, 0, 0), (0, cos, -sin), (0, sin, cos)]) @ first)


def known_lesion(case: Case) -> str:
    """Check that the model marks the phantom's lesion at its place; a mirrored mark is a fault."""
    lesion, part = case.specimen.lesion, case.answer.parts[0]
    if lesion is None or lesion.shape != part.grid.shape[:3]:
        raise Inapplicable("this series has no known lesion")
    if not part.result.segments and not find_places(part):
        raise Inapplicable("the model marks nothing")
    marks = [*_segments_on(lesion, part), *_places_on(lesion, part)]
    if not marks:
        raise Inapplicable("the model marks other things than the bright lesion of the phantom, which it need not find")
    return "; ".join(marks)


def _segments_on(lesion: npt.NDArray[np.bool_], part: GridAnswer) -> Iterator[str]:
    """Yield the segments that match the lesion; raises Broken for a segment that matches its mirror image."""
    for segment in part.result.segments:
        overlap = dice(segment.mask, lesion)
        if overlap >= SEES_LESION:
            yield f"segment {segment.label!r} is the bright lesion (Dice {overlap:.3f})"
        elif ways := mirroring(segment.mask, lesion, part.grid.affine):
            raise Broken(
                f"segment {segment.label!r} is the bright lesion mirrored {ways}: "
                "reorient the mask back as the voxels were reoriented"
            )


def _places_on(lesion: npt.NDArray[np.bool_], part: GridAnswer) -> Iterator[str]:
    """Yield the findings at the lesion; raises Broken for a finding at its mirror image."""
    target = Place(np.argwhere(lesion).astype(np.float64))
    reach = np.ptp(target.extent, axis=0) / 2 + NEAR
    for (name, whole_images), places in find_places(part).items():
        (place,) = merge(places)
        axes_used = slice(1 if whole_images else 3)  # an image has a slice, but no rows and columns
        if (np.abs(place.middle - target.middle) <= reach)[axes_used].all():
            yield f"{name!r} is on the bright lesion"
            continue
        for axes, mapping in mirrors(part):
            if (np.abs(place.transform(mapping).middle - target.middle) <= NEAR)[axes_used].all():
                ways = " and ".join(axis_name(axis, part.grid.affine) for axis in axes)
                raise Broken(f"{name!r} is on the bright lesion mirrored {ways}: reorient places as you do masks")


def descending(case: Case) -> str:
    """Check agreement when files and instance numbers are in reverse order."""
    return case.agrees(lambda stack: stack, descending=True)


def reoriented(case: Case, name: str) -> str:
    """Check agreement on the same voxels with swapped or reversed axes."""
    axes, flips = TURNS[name]
    affine = case.placed.affine
    if affine is None or not is_upright(affine):
        raise Inapplicable("the slices are sheared by a gantry tilt, so they cannot be reoriented")
    return _agree_or_advise(case, lambda stack: stack.turned(name, axes, flips))


def oblique(case: Case) -> str:
    """Check agreement on the same images of a rotated patient."""
    return _agree_or_advise(case, lambda stack: stack.rotated("oblique", rotation()))


def _agree_or_advise(case: Case, change: Callable[[Stack], Stack]) -> str:
    try:
        return case.agrees(change)
    except Broken as fault:
        raise Broken(f"{fault}. {ADVICE}") from None
