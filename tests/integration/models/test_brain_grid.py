"""A volume is seen the same by the networks however its grid lies, and masks come back to where they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator_brain_mask.grid import HeadAxes, head_axes
from orchestrator_brain_mask.segmentation import find_brain

from orchestrator.testing import ORIENTATIONS, Phantom

SPACING = (2.0, 1.5, 1.0)


def head() -> tuple[np.ndarray, np.ndarray]:
    """Return a bright ellipsoid with a dark hole and a bright crumb beside it, axes along R, A, S, and its affine."""
    z, y, x = np.meshgrid(np.arange(40), np.arange(48), np.arange(56), indexing="ij")
    depth = ((z - 20) / 12) ** 2 + ((y - 22) / 14) ** 2 + ((x - 30) / 16) ** 2
    voxels = np.where(depth < 1, 100, 0).astype(np.int16)
    voxels[depth < 0.05] = 0
    voxels[2:4, 2:4, 2:4] = 100
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -1.0], [0, -1.5, 0], [2.0, 0, 0]])  # columns R, rows A, slices S; in LPS
    return voxels, affine


def turned(voxels: np.ndarray, affine: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]):
    """Return the same anatomy stored along other axes."""
    matrix = affine.copy()
    matrix[:3, :3] = affine[:3, list(order)]
    voxels = voxels.transpose(order)
    for axis in np.flatnonzero(flips):
        matrix[:3, 3] += matrix[:3, axis] * (voxels.shape[axis] - 1)
        matrix[:3, axis] *= -1
        voxels = np.flip(voxels, axis)
    return np.ascontiguousarray(voxels), matrix


def bright(cube: np.ndarray) -> np.ndarray:
    """Stands in for a network: probability 1 where the normalised cube is above its mean."""
    return (cube > cube.mean()).astype(np.float32)


ORDERS = st.sampled_from(list(itertools.permutations(range(3))))
FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())


@settings(deadline=None, max_examples=25)
@given(ORDERS, FLIPS)
def test_the_networks_see_the_same_cube_however_the_volume_is_stored(order, flips):
    voxels, affine = head()
    expected = head_axes(affine, voxels.shape)
    stored, matrix = turned(voxels, affine, order, flips)
    frame = head_axes(matrix, stored.shape)
    np.testing.assert_allclose(
        frame.sample(stored, frame.box(), 32), expected.sample(voxels, expected.box(), 32), atol=1e-3
    )


@settings(deadline=None, max_examples=25)
@given(ORDERS, FLIPS)
def test_a_cube_comes_back_onto_the_grid_it_was_sampled_from(order, flips):
    voxels, affine = head()
    stored, matrix = turned(voxels, affine, order, flips)
    frame = head_axes(matrix, stored.shape)
    back = frame.to_grid(frame.sample(stored, frame.box(), 64), frame.box())
    assert ((back > 50) != (stored > 50)).mean() < 0.01


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_axes_point_to_right_front_and_top(orientation):
    phantom = Phantom(orientation=orientation, spacing=SPACING)
    frame = head_axes(phantom.affine, phantom.shape)
    towards_ras = np.diag([-1, -1, 1]) @ phantom.affine[:3, :3]
    np.testing.assert_allclose(np.abs(frame.matrix).max(axis=0), SPACING)
    assert ((frame.matrix * towards_ras).sum(axis=0) > 0).all()


def test_the_box_around_a_mask_holds_its_voxels_edge_to_edge():
    frame = HeadAxes(np.diag(SPACING), np.zeros(3), (10, 10, 10))
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2:5, 3, 4:6] = True
    box = frame.around(mask)
    np.testing.assert_allclose([box.low, box.high], [(3.0, 3.75, 3.5), (9.0, 5.25, 5.5)])


def test_the_brain_is_one_piece_without_holes_on_the_grid_of_the_source():
    voxels, affine = head()
    brain = find_brain(voxels, head_axes(affine, voxels.shape), bright, bright)
    z, y, x = np.indices(voxels.shape)
    expected = ((z - 20) / 12) ** 2 + ((y - 22) / 14) ** 2 + ((x - 30) / 16) ** 2 < 1
    assert 2 * (brain.mask & expected).sum() / (brain.mask.sum() + expected.sum()) > 0.98
    assert brain.mask[20, 22, 30]
    assert not brain.mask[3, 3, 3]


@pytest.mark.parametrize("seen", [0.0, 0.4])
def test_no_brain_seen_is_an_empty_mask(seen):
    voxels, affine = head()
    brain = find_brain(voxels, head_axes(affine, voxels.shape), lambda cube: np.full_like(cube, seen), bright)
    assert not brain.mask.any()


def test_a_volume_of_one_value_is_never_given_to_a_network():
    voxels, affine = head()
    brain = find_brain(np.zeros_like(voxels), head_axes(affine, voxels.shape), _never, _never)
    assert not brain.mask.any()


def _never(cube: np.ndarray) -> np.ndarray:
    raise AssertionError("a network was asked")
