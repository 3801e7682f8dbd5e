"""Turned, resampled and cut up: what comes back lies where it came from."""

from __future__ import annotations

import itertools

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
