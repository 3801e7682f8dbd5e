"""Boxes of a network in any order and unit, turned and cut up, are regions around the same voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import Presence, Region
from orchestrator.domain.volume import Volume
from orchestrator.worker.child.detection import Boxes, build_findings, read_window
from orchestrator.worker.child.model_grid import ModelGrid, windows

SPL = np.array([[0, 0, 0.7, -100], [0, 0.7, 0, -90], [3.0, 0, 0, 40], [0, 0, 0, 1]])
PLANE_ORDERS = ("xyxy", "yxyx", "cxcywh")
VOLUME_ORDERS = ("xyzxyz", "zyxzyx", "cxcyczwhd")
Array = npt.NDArray[Any]


def recipe(
    activation: str = "none", empty: str = "negative", threshold: float = 0.5, **detection: Any
) -> dict[str, Any]:
    """Return the recipe of a detector with one class, a nodule of channel 1."""
    defaults = {
        "boxes": "b",
        "scores": "s",
        "labels": "l",
        "layout": "rows",
        "order": "xyxy",
        "unit": "pixel",
        "iou": 0.5,
    }
    code = {"value": "27925004", "scheme": "SCT", "meaning": "Nodule"}
    nodule = {"channel": 1, "name": code, "threshold": threshold, "site": None, "laterality": None}
    return {
        "detection": defaults | detection,
        "output": {"activation": activation},
        "finding": [nodule],
        "empty": empty,
    }


def numbers_of(corners: Array, order: str) -> Array:
    """Return (n, numbers) of boxes (n, 2, axes), as a network would give them."""
    first, last = corners[:, 0].astype(float), corners[:, 1].astype(float)
    if order.startswith("c"):
        first, last = (first + last) / 2, last - first
    pairs = np.stack([first, last], axis=1)
    return (pairs if order.startswith(("y", "z")) else pairs[..., ::-1]).reshape(len(corners), -1)


def regions_of(
    told: dict[str, Any],
    grid: ModelGrid,
    windows_seen: Sequence[tuple[Sequence[Array], Any, Sequence[int]]],
    plane: bool,
) -> Sequence[Region]:
    seen = [read_window(told, outputs, window, fed) for outputs, window, fed in windows_seen]
    (finding,) = build_findings(told, seen, grid, plane=plane)
    return finding.regions


@st.composite
def boxes_in_grids(draw: st.DrawFn, plane: bool) -> tuple[ModelGrid, tuple[int, int, int], Array]:
    """A turned grid, the shape of its volume, and a box (2, 3) on the network's axes; of one slice where ``plane``."""
    rest = draw(st.permutations(["LR", "PA"] if plane else ["LR", "PA", "SI"]))
    letters = "".join(draw(st.sampled_from(pair)) for pair in (["SI", *rest] if plane else rest))
    own = draw(st.tuples(*[st.integers(2, 6)] * 3))
    grid = ModelGrid.of(Volume(np.zeros(own, np.int16), SPL), letters, None, None)
    corners = [
        sorted(draw(st.lists(st.integers(0, count), min_size=2, max_size=2, unique=True))) for count in grid.shape
    ]
    if plane:
        corners[0][1] = corners[0][0] = min(corners[0][0], grid.shape[0] - 1)
        corners[0][1] += 1
    return grid, own, np.array(corners).T


def mask_of(grid: ModelGrid, box: Array) -> npt.NDArray[np.bool_]:
    """Return the voxels of a box on the volume's own grid."""
    mask = np.zeros(grid.shape, bool)
    mask[tuple(slice(first, last) for first, last in box.T)] = True
    return grid.back(mask)


def assert_around(region: Region, mask: npt.NDArray[np.bool_]) -> None:
    """Assert that the region is the box of the mask, on a slice in its middle."""
    inside = np.argwhere(mask)
    first, last = inside.min(axis=0), inside.max(axis=0)
    assert region.points.min(axis=0) == pytest.approx(first[1:] - 0.5)
    assert region.points.max(axis=0) == pytest.approx(last[1:] + 0.5)
    assert region.slice in {(first[0] + last[0]) // 2, (first[0] + last[0] + 1) // 2}


@given(
    drawn=boxes_in_grids(plane=False), order=st.sampled_from(VOLUME_ORDERS), unit=st.sampled_from(["pixel", "fraction"])
)
def test_a_box_in_a_volume_is_the_box_of_its_mask(
    drawn: tuple[ModelGrid, tuple[int, int, int], Array], order: str, unit: str
) -> None:
    grid, _, box = drawn
    given = box[None] / (grid.shape if unit == "fraction" else 1)
    outputs = [numbers_of(given, order)[None], np.array([[0.75]]), np.array([[1]])]
    (window,) = windows(grid.shape, grid.shape, 0)
    (region,) = regions_of(recipe(order=order, unit=unit), grid, [(outputs, window, grid.shape)], plane=False)
    assert_around(region, mask_of(grid, box))


@given(
    drawn=boxes_in_grids(plane=True),
    order=st.sampled_from(PLANE_ORDERS),
    unit=st.sampled_from(["pixel", "fraction"]),
    start=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_a_box_in_a_slice_is_the_box_of_its_mask_wherever_the_window_begins(
    drawn: tuple[ModelGrid, tuple[int, int, int], Array], order: str, unit: str, start: tuple[int, int]
) -> None:
    grid, _, box = drawn
    fed = (9, 11)
    given = (box[None, :, 1:] - np.array(start)) / (fed if unit == "fraction" else 1)
    outputs = [numbers_of(given, order), np.array([0.75]), np.array([1])]
    window = (slice(box[0, 0], box[1, 0]), *(slice(at, at + size) for at, size in zip(start, fed, strict=True)))
    (region,) = regions_of(recipe(order=order, unit=unit), grid, [(outputs, window, fed)], plane=True)
    assert_around(region, mask_of(grid, box))


GRID = ModelGrid.of(Volume(np.zeros((3, 10, 10), np.int16), SPL), None, None, None)
MIDDLE = (slice(1, 2), slice(0, 10), slice(0, 10))


def seen(told: dict[str, Any], boxes: Any, scores: Any, labels: Any = None) -> Sequence[Region]:
    """Return the regions of what a network says of the middle slice of three, 10 x 10."""
    outputs = [np.array(each, dtype=np.float32) for each in (boxes, scores, labels) if each is not None]
    return regions_of(told, GRID, [(outputs, MIDDLE, (10, 10))], plane=True)


@pytest.mark.parametrize(
    ("boxes", "scores", "labels"),
    [
        ([[1, 2, 3, 4], [5, 5, 9, 9]], [0.5, 0.9], [1, 2]),
        ([[[1, 2, 3, 4], [5, 5, 9, 9]]], [[0.5, 0.9]], [[1, 2]]),
        ([[1, 2, 3, 4], [5, 5, 9, 9]], [[0.9, 0.5], [0.9, 0.25]], None),
    ],
)
def test_a_class_is_a_label_or_a_column_of_scores(boxes: Any, scores: Any, labels: Any) -> None:
    (region,) = seen(recipe(labels=None if labels is None else "l"), boxes, scores, labels)
    assert (region.slice, region.score, region.points[0].tolist()) == (1, 0.5, [1.5, 0.5])


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_boxes_and_scores_may_come_in_one(layout: str) -> None:
    rows = np.array([[1, 2, 3, 4, 0.9, 0.75], [5, 5, 9, 9, 0.9, 0.25]], dtype=np.float32)
    told = recipe(scores=None, labels=None, layout=layout)
    outputs = [(rows if layout == "rows" else rows.T)[None]]
    (region,) = regions_of(told, GRID, [(outputs, MIDDLE, (10, 10))], plane=True)
    assert (region.score, region.points[2].tolist()) == (0.75, [3.5, 2.5])


def test_scores_are_activated() -> None:
    (region,) = seen(recipe("softmax", labels=None), [[1, 2, 3, 4]], [[0.0, np.log(3.0)]])
    assert region.score == pytest.approx(0.75)


def test_a_score_far_below_nought_is_none() -> None:
    (region,) = seen(recipe("sigmoid"), [[1, 2, 3, 4], [1, 2, 3, 4]], [-1000, 1000], [1, 1])
    assert region.score == 1


@pytest.mark.parametrize("box", [[3, 2, 3, 4], [3, 2, 1, 4], [1, 4, 3, 2]])
def test_a_box_that_ends_before_it_begins_is_refused_by_name(box: list[float]) -> None:
    with pytest.raises(InvalidResult, match="output 'b' has a box that ends before it begins; check order = 'xyxy'"):
        seen(recipe(), [box], [0.75], [1])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_refused_by_name(number: float) -> None:
    with pytest.raises(InvalidResult, match="output 'b' holds 1 value of 4 that is not a finite number"):
        seen(recipe(), [[1, 2, number, 4]], [0.75], [1])
    with pytest.raises(InvalidResult, match="output 's' holds 1 value of 1 that is not a finite number"):
        seen(recipe(), [[1, 2, 3, 4]], [number], [1])
    with pytest.raises(InvalidResult, match="output 'l' holds 1 value of 1 that is not a finite number"):
        seen(recipe(), [[1, 2, 3, 4]], [0.75], [number])


@pytest.mark.parametrize("activation", ["none", "sigmoid"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_no_number_hides_behind_an_activation_a_threshold_or_another_class(number: float, activation: str) -> None:
    with pytest.raises(InvalidResult, match="output 's' holds 1 value of 2"):
        seen(recipe(activation), [[1, 2, 3, 4]] * 2, [0.75, number], [1, 3])
    with pytest.raises(InvalidResult, match="output 'b' holds 1 value of 8"):
        seen(recipe(activation), [[1, 2, 3, 4], [1, 2, number, 4]], [0.75, -9], [1, 3])


def test_a_box_that_does_not_count_may_be_anything() -> None:
    assert not seen(recipe(), [[0, 0, 0, 0], [3, 2, 1, 1], [-99, 2, 3, 4]], [0, 0.25, 0.9], [1, 1, 3])


@pytest.mark.parametrize(
    ("boxes", "scores", "labels"),
    [
        ([[1, 2, 3]], [0.5], [1]),
        ([[1, 2, 3, 4]], [0.5, 0.5], [1]),
        ([[1, 2, 3, 4]], [0.5], [1, 1]),
        ([1, 2, 3, 4], [0.5], [1]),
        ([[1, 2, 3, 4]], [[[0.5]]], [1]),
    ],
)
def test_outputs_that_are_no_boxes_are_refused(boxes: Any, scores: Any, labels: Any) -> None:
    with pytest.raises(InvalidResult, match="expected boxes of 4 numbers with scores"):
        seen(recipe(), boxes, scores, labels)


def test_a_class_that_the_scores_lack_is_refused() -> None:
    with pytest.raises(InvalidResult, match=r"has scores for 1 classes, but model\.toml names channel 1"):
        seen(recipe(labels=None), [[1, 2, 3, 4]], [0.5])


def test_boxes_are_cut_off_at_the_image_and_those_beside_it_are_none() -> None:
    (region,) = seen(recipe(), [[-4, 8, 3, 14], [10, 0, 12, 4]], [0.75, 0.9], [1, 1])
    assert (region.points.min(axis=0).tolist(), region.points.max(axis=0).tolist()) == ([7.5, -0.5], [9.5, 2.5])


def test_no_box_is_an_absence_or_nothing() -> None:
    outputs = [np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)]
    negative, failure = recipe(), recipe(empty="failure")
    (absent,) = build_findings(negative, [read_window(negative, outputs, MIDDLE, (10, 10))], GRID, plane=True)
    assert (absent.name, absent.presence, absent.score) == (codes["nodule"], Presence.ABSENT, None)
    assert build_findings(failure, [read_window(failure, outputs, MIDDLE, (10, 10))], GRID, plane=True) == []


def test_slices_thinner_than_the_images_find_a_thing_once() -> None:
    thin = ModelGrid.of(Volume(np.zeros((3, 10, 10), np.int16), SPL), None, (1.5, 0.7, 0.7), None)
    outputs = [np.array([[1, 2, 3, 4]], np.float32), np.array([0.75]), np.array([1])]
    both = [(outputs, (slice(at, at + 1), *MIDDLE[1:]), (10, 10)) for at in (2, 3)]
    assert [region.slice for region in regions_of(recipe(), thin, both, plane=True)] == [1]


def overlap(one: Array, other: Array) -> float:
    shared = np.prod(np.clip(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0, None))
    return float(shared / (np.prod(one[1] - one[0]) + np.prod(other[1] - other[0]) - shared))


@st.composite
def scored_boxes(draw: st.DrawFn) -> Boxes:
    count = draw(st.integers(0, 8))
    first = np.array(draw(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=count, max_size=count))).reshape(-1, 3)
    size = np.array(draw(st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=count, max_size=count))).reshape(-1, 3)
    scores = draw(st.lists(st.sampled_from([0.25, 0.5, 0.75]), min_size=count, max_size=count))
    return Boxes(np.stack([first, first + size], axis=1).astype(np.float64), np.array(scores, dtype=np.float32))


@given(boxes=scored_boxes(), iou=st.sampled_from([0.1, 0.5, 1.0]))
def test_the_kept_boxes_overlap_little_and_each_dropped_one_overlaps_a_better(boxes: Boxes, iou: float) -> None:
    kept = boxes.best(iou)
    assert list(kept.scores) == sorted(kept.scores, reverse=True)
    assert all(overlap(one, other) <= iou for at, one in enumerate(kept.corners) for other in kept.corners[at + 1 :])
    for box, score in zip(boxes.corners, boxes.scores, strict=True):
        rivals = [overlap(box, other) for other, best in zip(kept.corners, kept.scores, strict=True) if best >= score]
        assert any(same == 1 or same > iou for same in rivals)
