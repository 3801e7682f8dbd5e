"""Whether what a model points at, regions and whole images, lies where it lay in the patient.

Places are compared in voxels of the grid that was written; those on the series as it is are brought there
by way of the patient. Where both series are made of the same images, each place must be found again. Where
the body was cut another way, a region on an axial image is none on a sagittal one, and only what they cover
together can be compared.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import Part
from orchestrator.app.models.contract.clause import Broken
from orchestrator.domain.result import Region, Shape
from orchestrator.domain.volume import Affine
from orchestrator.testing.agreement import axis_name, displacement

Numbers = npt.NDArray[np.float64]
Kind = tuple[str, bool]
"""The name of a finding, and whether whole images show it."""

NEAR = 1.5
"""Voxels by which a place may move: where two neighbours are alike, either is right."""
MOST_SCORE = 0.05
STEP = 0.5
"""Pixels between the points by which outlines are compared: equal ones may have other corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A region of a finding, or an image that shows it.

    points: (n, 3) slice, row and column along the outline; of an image its corners. score: of this place.
    """

    points: Numbers
    score: float | None = None

    @property
    def extent(self) -> Numbers:
        """(2, 3): the lowest and the highest slice, row and column."""
        return np.stack([self.points.min(axis=0), self.points.max(axis=0)])

    @property
    def middle(self) -> Numbers:
        """Slice, row and column in the middle of its extent."""
        return np.asarray(self.extent.mean(axis=0))

    def moved(self, way: Affine) -> Place:
        """Return the place on another grid. ``way``: from an index on this one to that."""
        return replace(self, points=self.points @ way[:3, :3].T + way[:3, 3])

    def lies_on(self, other: Place, near: float) -> bool:
        """Return whether the two outlines lie at most so many voxels apart (Hausdorff)."""
        from scipy.spatial import cKDTree

        one, two = self.points, other.points
        return bool(max(cKDTree(one).query(two)[0].max(), cKDTree(two).query(one)[0].max()) <= near)

    def crosses(self, other: Place, near: float) -> bool:
        """Return whether along each axis one of the two holds the middle of the other, give or take so many voxels."""
        reach = np.maximum(np.ptp(self.extent, axis=0), np.ptp(other.extent, axis=0)) / 2
        return bool((np.abs(self.middle - other.middle) <= reach + near).all())


@dataclass(frozen=True, slots=True)
class Stray:
    """A place as it should be and as it was found; None where there is none on that side.

    mirrored: the axes along which all places of its kind are mirrored.
    """

    wanted: Place | None
    found: Place | None
    mirrored: tuple[int, ...] = ()


Fits = Callable[[Place, Place], bool]


def pointed_at(part: Part) -> Mapping[Kind, list[Place]]:
    """Return the places in one grid; several findings of one name are taken together, their order means nothing."""
    _, rows, columns = part.grid.shape[:3]
    places: dict[Kind, list[Place]] = defaultdict(list)
    for finding in part.result.findings:
        name = finding.name.meaning
        for region in finding.regions:
            places[name, False].append(Place(_outline(region), region.score))
        for image in finding.images:
            corners = itertools.product([float(image.slice)], [0.0, rows - 1.0], [0.0, columns - 1.0])
            places[name, True].append(Place(np.array(list(corners)), image.score))
    return places


def check_places(base: Part, other: Part, motion: Affine | None = None, *, near: float = NEAR) -> None:
    """Return where each place lies within ``near`` voxels of where it lay on the series as it is.

    motion: how the body was moved, LPS -> LPS mm; None where it was not. Grids without an affine are
    compared index by index. Raises Broken, which says what was found and where it should be.
    """
    way = _way(base.grid.affine, other.grid.affine, motion)
    same_images = _keeps_images(way)
    fits = partial(Place.lies_on if same_images else Place.crosses, near=near)
    wanted, found = pointed_at(base), pointed_at(other)
    for kind in dict.fromkeys((*wanted, *found)):
        asked, got = [place.moved(way) for place in wanted.get(kind, ())], found.get(kind, [])
        if not same_images:
            asked, got = together(asked), together(got)
        if stray := _stray(asked, got, fits):
            raise Broken(_told(kind, _mirrored(asked, got, fits, other) or stray, other.grid.affine))
        _check_scores(kind, asked, got)


def check_score(what: str, wanted: float | None, found: float | None) -> None:
    """Return where a score is what it was. Raises Broken."""
    if (wanted is None) != (found is None) or abs((wanted or 0.0) - (found or 0.0)) > MOST_SCORE:
        before, after = ("none" if score is None else f"{score:.3f}" for score in (wanted, found))
        raise Broken(f"the score of {what} is {before}, and {after} here")


def mirrors(part: Part) -> Iterator[tuple[tuple[int, ...], Affine]]:
    """Yield each choice of axes with the way from an index to that mirrored along them about the grid's middle."""
    for axes in itertools.chain.from_iterable(itertools.combinations(range(3), count) for count in (1, 2, 3)):
        way = np.eye(4)
        for axis in axes:
            way[axis, axis], way[axis, 3] = -1, part.grid.shape[axis] - 1
        yield axes, way


def together(places: Sequence[Place]) -> list[Place]:
    """Return the one place that reaches as far as all of them, nothing where there are none."""
    return [Place(np.concatenate([place.extent for place in places]))] if places else []


def _outline(region: Region) -> Numbers:
    """Return points along the edges of the region, a step apart at most."""
    corners = np.asarray(region.points, np.float64)
    if region.shape is Shape.POLYGON:
        ends = np.roll(corners, -1, axis=0)
        counts = np.ceil(np.linalg.norm(ends - corners, axis=1) / STEP).astype(int).clip(1)
        edges = zip(corners, ends, counts, strict=True)
        corners = np.concatenate([np.linspace(start, end, count, endpoint=False) for start, end, count in edges])
    return np.column_stack([np.full(len(corners), float(region.slice)), corners])


def _way(base: Affine | None, other: Affine | None, motion: Affine | None) -> Affine:
    """Return the way from an index of one grid to that of the other at the same place in the patient."""
    if base is None or other is None:
        return np.eye(4)
    return np.asarray(np.linalg.inv(other) @ (np.eye(4) if motion is None else motion) @ base)


def _keeps_images(way: Affine) -> bool:
    """Return whether the slices are the same images, at most mirrored or turned over."""
    turn = np.abs(way[:3, :3])
    whole = np.round(turn)
    return bool(np.allclose(turn, whole, atol=1e-3) and whole[0, 0] == 1 and (whole.sum(axis=0) == 1).all())


def _pairs(asked: Sequence[Place], got: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Yield each place as it should be with that which was found, matched so that all lie as near as can be."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if asked and got:
        extents = (np.stack([place.extent.ravel() for place in places]) for places in (asked, got))
        for one, two in zip(*linear_sum_assignment(cdist(*extents)), strict=True):
            yield asked[one], got[two]


def _stray(asked: Sequence[Place], got: Sequence[Place], fits: Fits) -> Stray | None:
    """Return the first place that does not fit its match, or has none."""
    pairs = list(_pairs(asked, got))
    matched = {id(place) for pair in pairs for place in pair}
    strays = [
        *(Stray(wanted, found) for wanted, found in pairs if not fits(wanted, found)),
        *(Stray(place, None) for place in asked if id(place) not in matched),
        *(Stray(None, place) for place in got if id(place) not in matched),
    ]
    return next(iter(strays), None)


def _mirrored(asked: Sequence[Place], got: Sequence[Place], fits: Fits, part: Part) -> Stray | None:
    """Return the place that is the farthest from where it should be, if all are mirrored along some axes."""
    for axes, flip in mirrors(part):
        flipped = [place.moved(flip) for place in asked]
        if not _stray(flipped, got, fits):
            pairs = [(wanted.moved(flip), found) for wanted, found in _pairs(flipped, got)]
            return Stray(*max(pairs, key=lambda pair: float(np.linalg.norm(_offset(*pair)))), axes)
    return None


def _offset(wanted: Place, found: Place) -> Numbers:
    """Return by how many voxels along each axis what was found lies from where it should be."""
    return np.asarray(found.middle - wanted.middle)


def _check_scores(kind: Kind, asked: Sequence[Place], got: Sequence[Place]) -> None:
    for wanted, found in _pairs(asked, got):
        check_score(f"{_called(kind)} at {_at(kind, found)}", wanted.score, found.score)


def _told(kind: Kind, stray: Stray, affine: Affine | None) -> str:
    what, wanted, found = _called(kind), stray.wanted, stray.found
    if wanted is None or found is None:
        (place,) = filter(None, (wanted, found))
        return f"{what} is {'missing' if wanted else 'found where none should be'}, at {_at(kind, place)}"
    moved = displacement(_offset(wanted, found), affine)
    ways = " and ".join(axis_name(axis, affine) for axis in stray.mirrored)
    said = f"{what} is at {_at(kind, found)} and should be at {_at(kind, wanted)}"
    return said + (f", it lies {moved}" if moved else "") + (f": mirrored {ways}" if ways else "")


def _called(kind: Kind) -> str:
    name, whole_image = kind
    return f"{'an image' if whole_image else 'a place'} of {name!r}"


def _at(kind: Kind, place: Place) -> str:
    """Return slice, rows and columns of a place; of an image the slice says it all."""
    _, whole_image = kind
    spans = list(zip(("slice", "row", "column"), *place.extent, strict=True))
    return ", ".join(_span(*each) for each in spans[: 1 if whole_image else 3])


def _span(name: str, low: float, high: float) -> str:
    return f"{name} {low:.4g}" if np.isclose(low, high, atol=1e-3) else f"{name}s {low:.4g} to {high:.4g}"
