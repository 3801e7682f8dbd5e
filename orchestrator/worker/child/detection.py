"""Turns the boxes of a detection network into findings: thresholds, suppresses and maps them to the volume's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.finite import check_finite
from orchestrator.sdk import Code, Finding, Presence, Region
from orchestrator.worker.child.decision import Recipe, activate, code_or_none
from orchestrator.worker.child.model_grid import GridWindow, ModelGrid, middle_slice
from orchestrator.worker.child.runtimes import output_names

Array = npt.NDArray[Any]
Corners = npt.NDArray[np.float64]
"""(n, 2, axes): first and last corner of each box in voxels; voxel k reaches from k to k + 1."""

_PIXEL_CENTRE = 0.5
"""Coordinates of a region start at the centre of the first pixel, those of a box at its edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes of one class, with one score (n,) each."""

    corners: Corners
    scores: npt.NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence[Boxes]) -> Boxes:
        """Return the boxes of all parts."""
        return cls(np.concatenate([part.corners for part in parts]), np.concatenate([part.scores for part in parts]))

    def best(self, iou: float) -> Boxes:
        """Return the boxes, best score first, without those that overlap a better one by more than ``iou``."""
        selection: list[int] = []
        rest = np.argsort(-self.scores, kind="stable")
        while rest.size:
            first, rest = int(rest[0]), rest[1:]
            selection.append(first)
            rest = rest[_overlaps(self.corners[first], self.corners[rest]) <= iou]
        return self.select(np.array(selection, dtype=np.intp))

    def select(self, index: Array) -> Boxes:
        """Return the boxes of these indices, or those where a mask is true."""
        return Boxes(self.corners[index], self.scores[index])


def read_window(recipe: Recipe, outputs: Sequence[Array], window: GridWindow, size: Sequence[int]) -> list[Boxes]:
    """Return the boxes in one window, on the network's three axes, for each [[finding]] of the manifest.

    outputs: in the order of the manifest, boxes first. size: of the network's input, without channels.
    Raises InvalidResult for outputs that are not boxes, or not finite.
    """
    spec = recipe["detection"]
    for name, output in zip(output_names(recipe), outputs, strict=True):
        check_finite(output, f"output {name!r}")
    numbers, scores, labels = _read(spec, outputs, 2 * len(size))
    name = spec["scores"] or spec["boxes"]
    scores = activate(scores.T, recipe["output"]["activation"], name).T
    check_finite(scores, f"output {name!r} after its activation")
    corners = _corners(numbers, spec["order"]) * (size if spec["unit"] == "fraction" else 1)
    boxes = []
    for finding in recipe["finding"]:
        own = _scores_of_class(scores, labels, finding["channel"])
        reaches = own >= finding["threshold"]
        _check(corners[reaches], spec)
        boxes.append(Boxes(_to_grid(corners[reaches], window), own[reaches]).best(spec["iou"]))
    return boxes


def build_findings(
    recipe: Recipe, windows: Sequence[Sequence[Boxes]], grid: ModelGrid, *, plane: bool
) -> list[Finding]:
    """Return a finding with its regions for each [[finding]] of the manifest.

    windows: the result of ``read_window`` for each window. plane: the network takes slices; each box is on one image.
    A class without boxes is absent if the manifest has empty = "negative", else it is left out.
    """
    findings = []
    for spec, parts in zip(recipe["finding"], zip(*windows, strict=True), strict=True):
        regions = list(_regions(Boxes.join(parts), grid, recipe["detection"]["iou"], plane=plane))
        if regions or recipe["empty"] == "negative":
            findings.append(_finding(spec, regions))
    return findings


def _finding(spec: Mapping[str, Any], regions: Sequence[Region]) -> Finding:
    return Finding(
        name=Code(**spec["name"]),
        presence=Presence.PRESENT if regions else Presence.ABSENT,
        score=regions[0].score if regions else None,
        site=code_or_none(spec["site"]),
        laterality=code_or_none(spec["laterality"]),
        regions=regions,
    )


def _regions(boxes: Boxes, grid: ModelGrid, iou: float, *, plane: bool) -> Iterator[Region]:
    """Yield each box as a rectangle on its middle slice, best score first."""
    corners = grid.back_boxes(boxes.corners)
    inside = np.all(corners[:, 1] > corners[:, 0], axis=1)  # the others lie completely in the padding
    candidates = Boxes(corners, boxes.scores).select(inside)
    if plane:
        for box in candidates.corners:
            box[:, 0] = middle_slice(box) + np.arange(2)
    best = candidates.best(iou)
    for box, score in zip(best.corners, best.scores, strict=True):
        (_, top, left), (_, bottom, right) = box - _PIXEL_CENTRE
        yield Region.box(middle_slice(box), top, left, bottom, right, score=float(score))


def _read(spec: Mapping[str, Any], outputs: Sequence[Array], numbers: int) -> tuple[Array, Array, Array | None]:
    """Return the coordinates of the boxes, their scores (n, classes) and their labels (n,), None without labels."""
    boxes, *others = [output[0] for output in outputs] if outputs[0].ndim == 3 else outputs
    if spec["layout"] == "columns":
        boxes = boxes.T
    if not others and boxes.ndim == 2:
        boxes, others = boxes[:, :numbers], [boxes[:, numbers:]]
    shapes = [boxes.shape, *(other.shape for other in others)]
    scores, *labels = (other[:, None] if other.ndim == 1 else other for other in others) if others else (boxes,)
    sound = boxes.ndim == scores.ndim == 2 and boxes.shape[1] == numbers and scores.shape[1] >= 1
    if not sound or any(len(other) != len(boxes) for other in others) or any(each.shape[1] != 1 for each in labels):
        raise InvalidResult(f"the outputs have the shapes {shapes}, expected boxes of {numbers} numbers with scores")
    return boxes, scores, labels[0][:, 0] if labels else None


def _corners(numbers: Array, order: str) -> Corners:
    """Return first and last corner along the network's axes; the last axis is x."""
    pairs = numbers.reshape(len(numbers), 2, numbers.shape[1] // 2).astype(np.float64)
    if not order.startswith(("y", "z")):
        pairs = pairs[..., ::-1]
    if not order.startswith("c"):
        return pairs
    centres, halves = pairs[:, 0], pairs[:, 1] / 2
    return np.stack([centres - halves, centres + halves], axis=1)


def _scores_of_class(scores: Array, labels: Array | None, channel: int) -> Array:
    """Return the score (n,) of each box for a class; boxes of other labels get -inf and reach no threshold."""
    if labels is not None:
        return np.where(labels == channel, scores[:, 0], -np.inf)
    if channel >= scores.shape[1]:
        raise InvalidResult(
            f"the network has scores for {scores.shape[1]} classes, but model.toml names channel {channel}"
        )
    return scores[:, channel]


def _check(corners: Corners, spec: Mapping[str, Any]) -> None:
    if (corners[:, 1] <= corners[:, 0]).any():
        raise InvalidResult(
            f"output {spec['boxes']!r} has a box that ends before it begins; check order = {spec['order']!r}"
        )


def _to_grid(corners: Corners, window: GridWindow) -> Corners:
    """Return the boxes of a window on the network's three axes; boxes on a slice are as thick as the slice."""
    if corners.shape[2] == 2:
        through = np.broadcast_to(np.arange(2.0)[:, None], (len(corners), 2, 1))
        corners = np.concatenate([through, corners], axis=2)
    return corners + np.array([part.start for part in window], dtype=np.float64)


def _overlaps(box: npt.NDArray[np.float64], others: Corners) -> npt.NDArray[np.float64]:
    """Return the intersection over union of a box (2, 3) with each of the others."""
    edges = np.minimum(box[1], others[:, 1]) - np.maximum(box[0], others[:, 0])
    both = edges.clip(0).prod(axis=1)
    return np.asarray(both / (np.diff(box, axis=0).prod() + np.diff(others, axis=1)[:, 0].prod(axis=1) - both))
