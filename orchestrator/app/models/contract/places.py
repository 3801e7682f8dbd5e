"""Checks that regions and images that a model marks keep their place in the patient.

Places are compared in voxels of the new grid; places of the original series are mapped there through the patient.
If both series consist of the same images, each place must be found again. If the slices have another orientation,
a region on an axial image has no counterpart on a sagittal one; then only the extent of all regions is compared.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from orchestrator.app.models.contract.bench import GridAnswer
from orchestrator.app.models.contract.clause import Broken
from orchestrator.domain.result import Region, Shape
from orchestrator.domain.volume import Affine
from orchestrator.testing.agreement import axis_name, displacement

Numbers = npt.NDArray[np.float64]
Kind = tuple[str, bool]
"""The name of a finding, and whether whole images show it."""

NEAR = 1.5
"""Voxels by which a place may move: of two equal neighbours either is right."""
MOST_SCORE = 0.05
STEP = 0.5
"""Pixels between the points of outlines that are compared; equal outlines may have other corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A region of a finding, or an image that shows the finding.

    points: (n, 3) slice, row and column along the outline, or the corners of the image.
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

    def transform(self, mapping: Affine) -> Place:
        """Return the place on another grid; ``mapping`` maps an index of this grid to one of that grid."""
        return replace(self, points=self.points @ mapping[:3, :3].T + mapping[:3, 3])

    def lies_on(self, other: Place, near: float) -> bool:
        """Return whether the two outlines are at most ``near`` voxels apart (Hausdorff distance)."""
        from scipy.spatial import cKDTree

        one, two = self.points, other.points
        return bool(max(cKDTree(one).query(two)[0].max(), cKDTree(two).query(one)[0].max()) <= near)

    def crosses(self, other: Place, near: float) -> bool:
        """Return whether on each axis one of the places covers the middle of the other, within ``near`` voxels."""
        reach = np.maximum(np.ptp(self.extent, axis=0), np.ptp(other.extent, axis=0)) / 2
        return bool((np.abs(self.middle - other.middle) <= reach + near).all())


@dataclass(frozen=True, slots=True)
class PlaceMismatch:
    """An expected place and the actual one; None if there is no such place.

    axes: along which all places of this kind are mirrored.
    """

    target: Place | None
    actual: Place | None
    axes: tuple[int, ...] = ()


Fits = Callable[[Place, Place], bool]


def find_places(part: GridAnswer) -> Mapping[Kind, list[Place]]:
    """Return the places on one grid by name of the finding; the order of findings does not matter."""
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


def check_places(base: GridAnswer, other: GridAnswer, motion: Affine | None = None, *, near: float = NEAR) -> None:
    """Return if each place lies within ``near`` voxels of its place in the original series.

    motion: how the body moved, LPS -> LPS mm; None if it did not. Grids without an affine are compared by index.
    Raises Broken that gives the actual and the expected place.
    """
    mapping = _grid_mapping(base.grid.affine, other.grid.affine, motion)
    same_images = _keeps_images(mapping)
    fits = partial(Place.lies_on if same_images else Place.crosses, near=near)
    before, after = find_places(base), find_places(other)
    for kind in dict.fromkeys((*before, *after)):
        targets, places = [place.transform(mapping) for place in before.get(kind, ())], after.get(kind, [])
        if not same_images:
            targets, places = merge(targets), merge(places)
        if mismatch := _find_mismatch(targets, places, fits):
            mirroring = _find_mirroring(targets, places, fits, other)
            raise Broken(_describe(kind, mirroring or mismatch, other.grid.affine))
        _check_scores(kind, targets, places)


def check_score(what: str, before: float | None, after: float | None) -> None:
    """Return if the score is the same as before. Raises Broken."""
    if (before is None) != (after is None) or abs((before or 0.0) - (after or 0.0)) > MOST_SCORE:
        old, new = ("none" if score is None else f"{score:.3f}" for score in (before, after))
        raise Broken(f"the score of {what} is {old}, and {new} here")


def mirrors(part: GridAnswer) -> Iterator[tuple[tuple[int, ...], Affine]]:
    """Yield each combination of axes with the mapping that mirrors an index along them at the grid's middle."""
    for axes in itertools.chain.from_iterable(itertools.combinations(range(3), count) for count in (1, 2, 3)):
        mapping = np.eye(4)
        for axis in axes:
            mapping[axis, axis], mapping[axis, 3] = -1, part.grid.shape[axis] - 1
        yield axes, mapping


def merge(places: Sequence[Place]) -> list[Place]:
    """Return one place with the extent of all places; an empty list without places."""
    return [Place(np.concatenate([place.extent for place in places]))] if places else []


def _outline(region: Region) -> Numbers:
    """Return points along the edges of the region, at most STEP apart."""
    corners = np.asarray(region.points, np.float64)
    if region.shape is Shape.POLYGON:
        ends = np.roll(corners, -1, axis=0)
        counts = np.ceil(np.linalg.norm(ends - corners, axis=1) / STEP).astype(int).clip(1)
        edges = zip(corners, ends, counts, strict=True)
        corners = np.concatenate([np.linspace(start, end, count, endpoint=False) for start, end, count in edges])
    return np.column_stack([np.full(len(corners), float(region.slice)), corners])


def _grid_mapping(base: Affine | None, other: Affine | None, motion: Affine | None) -> Affine:
    """Return the mapping of an index of one grid to the index of the same place in the patient on the other."""
    if base is None or other is None:
        return np.eye(4)
    return np.asarray(np.linalg.inv(other) @ (np.eye(4) if motion is None else motion) @ base)


def _keeps_images(mapping: Affine) -> bool:
    """Return whether the slices are the same images, perhaps mirrored or in reverse order."""
    turn = np.abs(mapping[:3, :3])
    whole = np.round(turn)
    return bool(np.allclose(turn, whole, atol=1e-3) and whole[0, 0] == 1 and (whole.sum(axis=0) == 1).all())


def _pairs(targets: Sequence[Place], actual: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Yield each expected place with its actual one, matched so that the sum of distances is smallest."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if targets and actual:
        extents = (np.stack([place.extent.ravel() for place in places]) for places in (targets, actual))
        for one, two in zip(*linear_sum_assignment(cdist(*extents)), strict=True):
            yield targets[one], actual[two]


def _find_mismatch(targets: Sequence[Place], actual: Sequence[Place], fits: Fits) -> PlaceMismatch | None:
    """Return the first place that does not fit its counterpart, or has none."""
    pairs = list(_pairs(targets, actual))
    matches = {id(place) for pair in pairs for place in pair}
    mismatches = [
        *(PlaceMismatch(target, place) for target, place in pairs if not fits(target, place)),
        *(PlaceMismatch(place, None) for place in targets if id(place) not in matches),
        *(PlaceMismatch(None, place) for place in actual if id(place) not in matches),
    ]
    return next(iter(mismatches), None)


def _find_mirroring(
    targets: Sequence[Place], actual: Sequence[Place], fits: Fits, part: GridAnswer
) -> PlaceMismatch | None:
    """Return the place farthest from its expected place, if all places are mirrored along some axes."""
    for axes, flip in mirrors(part):
        mirror_images = [place.transform(flip) for place in targets]
        if not _find_mismatch(mirror_images, actual, fits):
            pairs = [(target.transform(flip), place) for target, place in _pairs(mirror_images, actual)]
            return PlaceMismatch(*max(pairs, key=lambda pair: float(np.linalg.norm(_offset(*pair)))), axes)
    return None


def _offset(target: Place, actual: Place) -> Numbers:
    """Return the distance of the actual place from the expected one, in voxels along each axis."""
    return np.asarray(actual.middle - target.middle)


def _check_scores(kind: Kind, targets: Sequence[Place], actual: Sequence[Place]) -> None:
    for target, place in _pairs(targets, actual):
        check_score(f"{_name(kind)} at {_position(kind, place)}", target.score, place.score)


def _describe(kind: Kind, mismatch: PlaceMismatch, affine: Affine | None) -> str:
    name, target, actual = _name(kind), mismatch.target, mismatch.actual
    if target is None or actual is None:
        (place,) = filter(None, (target, actual))
        return f"{name} is {'missing' if target else 'found where none should be'}, at {_position(kind, place)}"
    distance = displacement(_offset(target, actual), affine)
    ways = " and ".join(axis_name(axis, affine) for axis in mismatch.axes)
    text = f"{name} is at {_position(kind, actual)} and should be at {_position(kind, target)}"
    return text + (f", it lies {distance}" if distance else "") + (f": mirrored {ways}" if ways else "")


def _name(kind: Kind) -> str:
    name, whole_image = kind
    return f"{'an image' if whole_image else 'a place'} of {name!r}"


def _position(kind: Kind, place: Place) -> str:
    """Return slice, rows and columns of a place; of an image only the slice."""
    _, whole_image = kind
    spans = list(zip(("slice", "row", "column"), *place.extent, strict=True))
    return ", ".join(_span(*each) for each in spans[: 1 if whole_image else 3])


def _span(name: str, low: float, high: float) -> str:
    return f"{name} {low:.4g}" if np.isclose(low, high, atol=1e-3) else f"{name}s {low:.4g} to {high:.4g}"
