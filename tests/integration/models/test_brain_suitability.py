"""What is not a whole head with T1 contrast is refused, and why is said."""

from __future__ import annotations

import numpy as np
import pytest
from orchestrator_brain_mask.grid import head_axes
from orchestrator_brain_mask.segmentation import Brain
from orchestrator_brain_mask.suitability import check_brain, check_images
from scipy import ndimage

from orchestrator.sdk import UnsupportedInput, Volume

SHAPE = (80, 100, 90)
CELL_MM = 2.0


def volume(voxels: np.ndarray, *, spacing: float = CELL_MM, modality: str = "MR", **facts: object) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -1.0], [0, -1.0, 0], [1.0, 0, 0]]) * spacing
    return Volume(voxels, affine, modality=modality, facts=facts)


def ellipsoid(*radii_mm: float) -> np.ndarray:
    """Return the inside of an ellipsoid in the middle of the grid."""
    index = [(np.arange(n) - (n - 1) / 2) * CELL_MM for n in SHAPE]
    z, y, x = np.meshgrid(*index, indexing="ij")
    return (z / radii_mm[0]) ** 2 + (y / radii_mm[1]) ** 2 + (x / radii_mm[2]) ** 2 < 1


def cortex(mask: np.ndarray, fluid: float, grey: float, white: float) -> np.ndarray:
    """Return tissue with folds: white matter in the depth, grey matter and fluid winding near the surface."""
    depth = ndimage.distance_transform_edt(mask, sampling=CELL_MM)
    z, y, x = np.indices(SHAPE) * CELL_MM
    winding = np.sin(z / 2.2) + np.sin(y / 2.5) + np.sin(x / 2.3)
    tissue = np.where(winding > 0.7, fluid, np.where(winding > -0.7, grey, white))
    tissue = np.where((depth > 11) & (winding < 1.6), white, tissue)
    return np.where(mask, tissue, 0).astype(np.float32)


BRAIN = ellipsoid(65, 85, 68)
T1 = {"fluid": 20, "grey": 60, "white": 100}


def check(voxels: np.ndarray, mask: np.ndarray = BRAIN, doubt: float = 0.015, spacing: float = CELL_MM) -> None:
    given = volume(voxels, spacing=spacing)
    assert given.affine is not None
    check_brain(Brain(mask, doubt), given, head_axes(given.affine, given.shape))


def test_a_folded_mask_that_is_brightest_in_its_depth_passes():
    check(cortex(BRAIN, **T1))


def test_a_coil_that_sees_the_surface_brighter_changes_nothing():
    depth = ndimage.distance_transform_edt(BRAIN, sampling=CELL_MM)
    check(cortex(BRAIN, **T1) * (1 - 0.3 * depth / depth.max()))


@pytest.mark.parametrize(
    "contrast",
    [
        pytest.param({"fluid": 200, "grey": 110, "white": 80}, id="T2"),
        pytest.param({"fluid": 20, "grey": 100, "white": 60}, id="FLAIR"),
        pytest.param({"fluid": 110, "grey": 100, "white": 70}, id="PD"),
    ],
)
def test_another_contrast_is_not_t1(contrast):
    with pytest.raises(UnsupportedInput, match="not T1-weighted"):
        check(cortex(BRAIN, **contrast))


def test_what_has_no_folds_is_no_brain():
    depth = ndimage.distance_transform_edt(BRAIN, sampling=CELL_MM)
    with pytest.raises(UnsupportedInput, match="no folds"):
        check(depth.astype(np.float32) + np.random.default_rng(3).normal(0, 1, SHAPE))


def test_what_is_flat_inside_is_no_brain():
    with pytest.raises(UnsupportedInput, match="no contrast"):
        check(np.full(SHAPE, 100, np.float32))


@pytest.mark.parametrize("radii", [(40, 50, 40), (75, 98, 88)])
def test_a_brain_of_implausible_size_is_refused(radii):
    mask = ellipsoid(*radii)
    with pytest.raises(UnsupportedInput, match="plausible size"):
        check(cortex(mask, **T1), mask)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        pytest.param(ellipsoid(40, 95, 80), "mm from top to bottom", id="a flat disc"),
        pytest.param(np.pad(np.ones((56, 70, 60), bool), ((12,), (15,), (15,))), "fills 100%", id="a box"),
    ],
)
def test_a_mask_of_another_form_is_no_brain(mask, said):
    with pytest.raises(UnsupportedInput, match=said):
        check(cortex(mask, **T1), mask)


def test_a_brain_cut_off_by_the_edge_of_the_images_is_refused():
    with pytest.raises(UnsupportedInput, match="cut off"):
        check(cortex(BRAIN, **T1)[30:], BRAIN[30:])


def test_networks_in_doubt_are_not_believed():
    with pytest.raises(UnsupportedInput, match="is doubtful"):
        check(cortex(BRAIN, **T1), doubt=0.04)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (volume(np.zeros(SHAPE), modality="CT"), "modality is CT"),
        (volume(np.zeros((20, 30, 25)), spacing=8.0), "8.0 mm long"),
        (volume(np.zeros((30, 100, 90))), "60 mm along one axis"),
        (volume(np.zeros((80, 260, 90))), "520 mm along one axis"),
        (volume(np.zeros(SHAPE), EchoTime=95.0), "echo time is 95 ms"),
        (volume(np.zeros(SHAPE), EchoTime=(12.0, 95.0)), "echo time is 95 ms"),
    ],
)
def test_images_that_cannot_be_a_t1_of_a_head_are_refused_before_any_network_runs(given, said):
    with pytest.raises(UnsupportedInput, match=said):
        check_images(given, head_axes(given.affine, given.shape))


@pytest.mark.parametrize("given", [volume(np.zeros(SHAPE)), volume(np.zeros(SHAPE), modality="", EchoTime=2.98)])
def test_images_that_could_be_a_t1_of_a_head_are_looked_at(given):
    check_images(given, head_axes(given.affine, given.shape))
