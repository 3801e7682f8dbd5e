"""Turned, resampled and cut up: what comes back lies where it came from."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import UnsupportedInput
from orchestrator.domain.volume import Volume
from orchestrator.worker.child.model_grid import ModelGrid, windows

LETTERS = [
    "".join(turned) for axes in itertools.permutations(("LR", "PA", "SI")) for turned in itertools.product(*axes)
]
SPL = np.array([[0, 0, 0.7, -100], [0, 0.7, 0, -90], [3.0, 0, 0, 40], [0, 0, 0, 1]])
"""Axial slices from the feet up: (slice, row, column) grow to S, P and L."""


def volume(affine: npt.NDArray[np.float64] | None = SPL, shape: tuple[int, ...] = (4, 5, 6)) -> Volume:
    return Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)


@pytest.mark.parametrize("letters", LETTERS)
def test_each_axis_grows_towards_its_letter(letters: str) -> None:
    given, towards = volume(), {"L": (2, 1), "R": (2, -1), "P": (1, 1), "A": (1, -1), "S": (0, 1), "I": (0, -1)}
    grid = ModelGrid.of(given, letters, None, None)
    turned = grid.forward(given.voxels)[0]
    strides = {2: 1, 1: 6, 0: 30}
    for axis, letter in enumerate(letters):
        source, sense = towards[letter]
        step = np.diff(turned, axis=axis).ravel()[0]
        assert step == sense * strides[source]


@pytest.mark.parametrize("letters", LETTERS)
def test_back_undoes_forward(letters: str) -> None:
    given = volume()
    grid = ModelGrid.of(given, letters, None, None)
    assert (grid.back(grid.forward(given.voxels)[0]) == given.voxels).all()


def test_an_oblique_volume_takes_the_nearest_axes() -> None:
    turn = np.deg2rad(20)
    rotated = np.eye(4)
    rotated[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    assert ModelGrid.of(volume(rotated @ SPL), "SPL", None, None).axes == (0, 1, 2)


def test_resampling_takes_a_box_to_its_place_and_back() -> None:
    box = np.zeros((12, 20, 20), np.int16)
    box[4:8, 5:15, 6:12] = 1
    grid = ModelGrid.of(Volume(box, SPL), "LPS", (1.4, 1.4, 1.5), None)
    forth = grid.forward(box)[0]
    assert forth.shape == (10, 10, 24)
    assert ((grid.back(forth) >= 0.5) == box).mean() > 0.99


def test_a_size_fits_any_image() -> None:
    colour = np.zeros((2, 30, 40, 3), np.uint8)
    grid = ModelGrid.of(Volume(colour, None), None, None, (8, 8))
    assert grid.forward(colour).shape == (3, 2, 8, 8)
    assert grid.back(np.zeros((2, 8, 8))).shape == (2, 30, 40)


@pytest.mark.parametrize(("orientation", "spacing"), [("LPS", None), (None, (1.0, 1.0, 1.0))])
def test_an_image_without_a_place_cannot_be_turned(
    orientation: str | None, spacing: tuple[float, float, float] | None
) -> None:
    with pytest.raises(UnsupportedInput):
        ModelGrid.of(volume(affine=None), orientation, spacing, None)


three = st.tuples(*[st.integers(1, 9)] * 3)


@given(shape=three, patch=three, overlap=st.floats(0, 0.9))
def test_windows_cover_everything_and_are_of_one_size(
    shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float
) -> None:
    covered = np.zeros(shape, int)
    for window in windows(shape, patch, overlap):
        covered[window] += 1
        assert covered[window].shape == tuple(map(min, shape, patch))
    assert covered.min() >= 1


@given(shape=three, patch=three)
def test_without_overlap_whole_patches_are_seen_once(shape: tuple[int, int, int], patch: tuple[int, int, int]) -> None:
    whole = tuple(count * size for count, size in zip(shape, patch, strict=True))
    assert len(list(windows(whole, patch, 0.0))) == np.prod(shape)  # type: ignore[arg-type]


@st.composite
def turned_boxes(draw: st.DrawFn) -> tuple[ModelGrid, tuple[int, int, int], npt.NDArray[np.int64]]:
    """A grid of any orientation whose voxels are whole numbers of the volume's, its volume's shape, and a box in it."""
    letters = draw(st.sampled_from(LETTERS))
    times = draw(st.tuples(*[st.integers(1, 3)] * 3))
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    turned = ModelGrid.of(volume(shape=(2, 3, 4)), letters, None, None)
    whole = tuple(count * time for count, time in zip(shape, times, strict=True))
    own = tuple(np.array(whole)[np.argsort(turned.axes)].tolist())
    spacing = [time * (3.0, 0.7, 0.7)[axis] for time, axis in zip(times, turned.axes, strict=True)]
    corners = [sorted(draw(st.lists(st.integers(0, count), min_size=2, max_size=2, unique=True))) for count in shape]
    return ModelGrid.of(volume(shape=own), letters, spacing, None), own, np.array(corners).T


def filled(shape: tuple[int, ...], box: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, last) for first, last in np.round(box).astype(int).T)] = True
    return mask


@given(drawn=turned_boxes())
def test_the_box_of_a_mask_is_the_mask_of_the_box(
    drawn: tuple[ModelGrid, tuple[int, int, int], npt.NDArray[np.int64]],
) -> None:
    grid, own, box = drawn
    (found,) = grid.back_boxes(box[None].astype(np.float64))
    mask = filled(grid.shape, box).astype(np.float32)
    for axis, ratio in enumerate(grid.ratios):
        mask = mask.repeat(round(ratio), axis)
    plain = ModelGrid(grid.axes, grid.flips, grid.oriented_shape, grid.oriented_shape, (1.0, 1.0, 1.0))
    assert found == pytest.approx(np.round(found))
    assert (filled(own, found) == plain.back(mask)).all()


@given(drawn=turned_boxes(), beyond=st.floats(0, 100))
def test_a_box_that_leaves_the_volume_is_cut_off_at_its_faces(
    drawn: tuple[ModelGrid, tuple[int, int, int], npt.NDArray[np.int64]], beyond: float
) -> None:
    grid, own, _ = drawn
    (found,) = grid.back_boxes(np.array([[np.full(3, -beyond), np.array(grid.shape) + beyond]]))
    assert found == pytest.approx(np.array([(0, 0, 0), own]))


@pytest.mark.parametrize(("letters", "expected"), [("SPL", [0, 1, 2, 3]), ("IPL", [3, 2, 1, 0]), ("SLP", [0, 1, 2, 3])])
def test_a_slice_of_the_network_is_an_image_of_the_volume(letters: str, expected: list[int]) -> None:
    grid = ModelGrid.of(volume(), letters, None, None)
    assert [grid.image(index) for index in range(4)] == expected


@pytest.mark.parametrize(
    ("slice_mm", "expected"), [(9.0, [1, 4, 7]), (6.0, [1, 3, 5, 7, 8]), (1.5, [index // 2 for index in range(18)])]
)
def test_a_slice_of_another_thickness_is_the_image_in_its_middle(slice_mm: float, expected: list[int]) -> None:
    grid = ModelGrid.of(volume(shape=(9, 5, 6)), None, (slice_mm, 0.7, 0.7), None)
    assert [grid.image(index) for index in range(len(expected))] == expected


def test_slices_across_the_images_are_no_images() -> None:
    with pytest.raises(UnsupportedInput):
        ModelGrid.of(volume(), "RAS", None, None).image(0)
