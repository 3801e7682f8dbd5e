"""From the boxes of a network that detects to findings: read, thresholded, suppressed, brought to the volume's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InvalidResult
from orchestrator.sdk import Code, Finding, Presence, Region
from orchestrator.worker.child.decision import Recipe, activated, code_or_none
from orchestrator.worker.child.model_grid import ModelGrid, Place, middle_slice

Array = npt.NDArray[Any]
Corners = npt.NDArray[np.float64]
"""(n, 2, axes): first and last corner of each box in voxels; voxel k reaches from k to k + 1."""

_PIXEL_CENTRE = 0.5
"""A region counts from the centre of the first pixel, a box from its edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes of one class with a score (n,) each."""

    corners: Corners
    scores: npt.NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> Boxes:
        """Return the boxes of all parts."""
        return cls(np.concatenate([part.corners for part in parts]), np.concatenate([part.scores for part in parts]))

    def best(self, iou: float) -> Boxes:
        """Return the boxes, the best score first, without those that overlap a better one by more than ``iou``."""
        kept: list[int] = []
        waiting = np.argsort(-self.scores, kind="stable")
        while waiting.size:
            first, waiting = int(waiting[0]), waiting[1:]
            kept.append(first)
            waiting = waiting[_overlaps(self.corners[first], self.corners[waiting]) <= iou]
        return self.chosen(np.array(kept, dtype=np.intp))

    def chosen(self, which: Array) -> Boxes:
        """Return the boxes of these indices, or those where a mask is true."""
        return Boxes(self.corners[which], self.scores[which])


def in_window(recipe: Recipe, outputs: Sequence[Array], window: Place, fed: Sequence[int]) -> list[Boxes]:
    """Return the boxes in one window, on the network's three axes, for each finding that the manifest names.

    outputs: as the manifest names them, boxes first. fed: the size of what the network was given, without channels.
    Raises InvalidResult for outputs that are no boxes.
    """
    told = recipe["detection"]
    numbers, scores, labels = _read(told, outputs, 2 * len(fed))
    scores = activated(scores.T, recipe["output"]["activation"]).T
    if not np.isfinite(scores).all():
        raise InvalidResult(f"output {told['scores'] or told['boxes']!r} gives a score that is no finite number")
    corners = _corners(numbers, told["order"]) * (fed if told["unit"] == "fraction" else 1)
    found = []
    for finding in recipe["finding"]:
        own = _of_class(scores, labels, finding["channel"])
        reaches = own >= finding["threshold"]
        _check(corners[reaches], told)
        found.append(Boxes(_placed(corners[reaches], window), own[reaches]).best(told["iou"]))
    return found


def findings(recipe: Recipe, seen: Sequence[Sequence[Boxes]], grid: ModelGrid, *, plane: bool) -> list[Finding]:
    """Return a finding with its regions for each that the manifest names.

    seen: what ``in_window`` gave for each window. plane: the network takes slices, so that a box is of one image.
    A class without a box is absent, or goes unmentioned where the manifest does not call that a negative result.
    """
    found = []
    for told, parts in zip(recipe["finding"], zip(*seen, strict=True), strict=True):
        regions = list(_regions(Boxes.joined(parts), grid, recipe["detection"]["iou"], plane=plane))
        if regions or recipe["empty"] == "negative":
            found.append(_finding(told, regions))
    return found


def _finding(told: Mapping[str, Any], regions: Sequence[Region]) -> Finding:
    return Finding(
        name=Code(**told["name"]),
        presence=Presence.PRESENT if regions else Presence.ABSENT,
        score=regions[0].score if regions else None,
        site=code_or_none(told["site"]),
        laterality=code_or_none(told["laterality"]),
        regions=regions,
    )


def _regions(boxes: Boxes, grid: ModelGrid, iou: float, *, plane: bool) -> Iterator[Region]:
    """Yield each box as a rectangle on the slice in its middle, the best score first."""
    corners = grid.back_boxes(boxes.corners)
    inside = np.all(corners[:, 1] > corners[:, 0], axis=1)  # the others lie wholly in what was added at the border
    placed = Boxes(corners, boxes.scores).chosen(inside)
    if plane:
        for box in placed.corners:
            box[:, 0] = middle_slice(box) + np.arange(2)
    best = placed.best(iou)
    for box, score in zip(best.corners, best.scores, strict=True):
        (_, top, left), (_, bottom, right) = box - _PIXEL_CENTRE
        yield Region.box(middle_slice(box), top, left, bottom, right, score=float(score))


def _read(told: Mapping[str, Any], outputs: Sequence[Array], numbers: int) -> tuple[Array, Array, Array | None]:
    """Return the numbers that place each box, its scores (n, classes) and, where there are some, its labels (n,)."""
    boxes, *others = [output[0] for output in outputs] if outputs[0].ndim == 3 else outputs
    if told["layout"] == "columns":
        boxes = boxes.T
    if not others and boxes.ndim == 2:
        boxes, others = boxes[:, :numbers], [boxes[:, numbers:]]
    shapes = [boxes.shape, *(other.shape for other in others)]
    scores, *labels = (other[:, None] if other.ndim == 1 else other for other in others) if others else (boxes,)
    sound = boxes.ndim == scores.ndim == 2 and boxes.shape[1] == numbers and scores.shape[1] >= 1
    if not sound or any(len(other) != len(boxes) for other in others) or any(each.shape[1] != 1 for each in labels):
        raise InvalidResult(f"the outputs have the shapes {shapes}: no boxes of {numbers} numbers with their scores")
    return boxes, scores, labels[0][:, 0] if labels else None


def _corners(numbers: Array, order: str) -> Corners:
    """Return first and last corner along the network's axes, whose last one is x."""
    pairs = numbers.reshape(len(numbers), 2, numbers.shape[1] // 2).astype(np.float64)
    if not order.startswith(("y", "z")):
        pairs = pairs[..., ::-1]
    if not order.startswith("c"):
        return pairs
    centres, halves = pairs[:, 0], pairs[:, 1] / 2
    return np.stack([centres - halves, centres + halves], axis=1)


def _of_class(scores: Array, labels: Array | None, channel: int) -> Array:
    """Return the score (n,) that each box has for a class; one of another label has none, and reaches no threshold."""
    if labels is not None:
        return np.where(labels == channel, scores[:, 0], -np.inf)
    if channel >= scores.shape[1]:
        raise InvalidResult(
            f"the network gives scores for {scores.shape[1]} classes, model.toml names channel {channel}"
        )
    return scores[:, channel]


def _check(corners: Corners, told: Mapping[str, Any]) -> None:
    if not np.isfinite(corners).all():
        raise InvalidResult(f"output {told['boxes']!r} gives a box that is no finite number")
    if (corners[:, 1] <= corners[:, 0]).any():
        raise InvalidResult(
            f"output {told['boxes']!r} gives a box that ends where it begins or before; is {told['order']!r} its order?"
        )


def _placed(corners: Corners, window: Place) -> Corners:
    """Return the boxes of a window on the network's three axes; those of a slice are as thick as the slice."""
    if corners.shape[2] == 2:
        through = np.broadcast_to(np.arange(2.0)[:, None], (len(corners), 2, 1))
        corners = np.concatenate([through, corners], axis=2)
    return corners + np.array([part.start for part in window], dtype=np.float64)


def _overlaps(box: npt.NDArray[np.float64], others: Corners) -> npt.NDArray[np.float64]:
    """Return the intersection over union of a box (2, 3) with each of the others."""
    shared = np.minimum(box[1], others[:, 1]) - np.maximum(box[0], others[:, 0])
    both = shared.clip(0).prod(axis=1)
    return np.asarray(both / (np.diff(box, axis=0).prod() + np.diff(others, axis=1)[:, 0].prod(axis=1) - both))
