"""The same body stored in other orders and orientations: what is found must lie at the same place in the patient.

Voxels are never interpolated: axes change places or run the other way, and all that may change with them is
the array that the model is given. A model that reads ``Volume.affine`` finds the same; one that takes rows
and columns for directions in the patient does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import Part
from orchestrator.app.models.contract.case import Case
from orchestrator.app.models.contract.clause import Broken, Inapplicable
from orchestrator.app.models.contract.places import NEAR, Place, mirrors, pointed_at, together
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
ADVICE = "Rows, columns and slices are no directions in the patient: read Volume.affine, or set [input] orientation"


def rotation() -> npt.NDArray[np.float64]:
    """Return the (3, 3) turn of a patient who lies oblique: 20 degrees about head-foot, then 15 about left-right."""
    about_feet, about_side = np.radians(20), np.radians(15)
    cos, sin = np.cos(about_feet), np.sin(about_feet)
    first = np.array([(cos, -sin, 0), (sin, cos, 0), (0, 0, 1)])
    cos, sin = np.cos(about_side), np.sin(about_side)
    return np.asarray(np.array([(1, 0, 0), (0, cos, -sin), (0, sin, cos)]) @ first)


def known_lesion(case: Case) -> str:
    """Return whether the model marks the phantom's lesion, and where it lies; a mirrored one is a fault."""
    lesion, part = case.specimen.lesion, case.answer.parts[0]
    if lesion is None or lesion.shape != part.grid.shape[:3]:
        raise Inapplicable("no lesion is known in this series")
    if not part.result.segments and not pointed_at(part):
        raise Inapplicable("it marks nothing")
    marked = [*_segments_on(lesion, part), *_places_on(lesion, part)]
    if not marked:
        raise Inapplicable("nothing that it marks is the bright lesion of the phantom, which it need not look for")
    return "; ".join(marked)


def _segments_on(lesion: npt.NDArray[np.bool_], part: Part) -> Iterator[str]:
    """Yield the segments that are the lesion; raises Broken for one that is the lesion mirrored."""
    for segment in part.result.segments:
        reached = dice(segment.mask, lesion)
        if reached >= SEES_LESION:
            yield f"segment {segment.label!r} is the bright lesion (Dice {reached:.3f})"
        elif ways := mirroring(segment.mask, lesion, part.grid.affine):
            raise Broken(
                f"segment {segment.label!r} is the bright lesion mirrored {ways}: "
                "turn the mask back as the voxels were turned"
            )


def _places_on(lesion: npt.NDArray[np.bool_], part: Part) -> Iterator[str]:
    """Yield the findings that point at the lesion; raises Broken for one that points at the lesion mirrored."""
    wanted = Place(np.argwhere(lesion).astype(np.float64))
    reach = np.ptp(wanted.extent, axis=0) / 2 + NEAR
    for (name, whole_images), places in pointed_at(part).items():
        (found,) = together(places)
        said = slice(1 if whole_images else 3)  # an image says on which slice, and nothing of rows and columns
        if (np.abs(found.middle - wanted.middle) <= reach)[said].all():
            yield f"{name!r} is on the bright lesion"
            continue
        for axes, way in mirrors(part):
            if (np.abs(found.moved(way).middle - wanted.middle) <= NEAR)[said].all():
                ways = " and ".join(axis_name(axis, part.grid.affine) for axis in axes)
                raise Broken(f"{name!r} is on the bright lesion mirrored {ways}: turn places back as the voxels were")


def descending(case: Case) -> str:
    """Return how the model agrees where files and instance numbers run from the last slice to the first."""
    return case.agrees(lambda stack: stack, descending=True)


def turned(case: Case, name: str) -> str:
    """Return how the model agrees on the same voxels with their axes turned."""
    axes, flips = TURNS[name]
    affine = case.placed.affine
    if affine is None or not is_upright(affine):
        raise Inapplicable("the slices are sheared by a gantry tilt, so they cannot be cut another way")
    return _advised(case, lambda stack: stack.turned(name, axes, flips))


def oblique(case: Case) -> str:
    """Return how the model agrees on the same images of a patient who lies oblique."""
    return _advised(case, lambda stack: stack.rotated("oblique", rotation()))


def _advised(case: Case, change: Callable[[Stack], Stack]) -> str:
    try:
        return case.agrees(change)
    except Broken as fault:
        raise Broken(f"{fault}. {ADVICE}") from None
