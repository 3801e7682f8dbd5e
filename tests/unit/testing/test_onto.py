"""A mask put on another grid of the same body keeps every voxel, the outermost too."""

import numpy as np
import pytest

from orchestrator.testing import Phantom, dice, onto

NUDGES_MM = (0.0, 1e-9, -1e-9)
"""What decimal strings in a DICOM header leave of a position."""


@pytest.mark.parametrize("nudge_mm", NUDGES_MM)
def test_a_nudge_far_below_a_voxel_loses_no_outer_slice(nudge_mm: float) -> None:
    phantom = Phantom(slices=6, rows=8, columns=7)
    everything = np.ones(phantom.shape, bool)
    nudged = phantom.affine.copy()
    nudged[:3, 3] += nudge_mm
    assert onto(everything, nudged, phantom.affine, phantom.shape).all()


@pytest.mark.parametrize("orientation", ["axial", "coronal", "oblique", "feet-first"])
def test_a_mask_of_some_slices_lands_where_it_was_cut(orientation: str) -> None:
    phantom = Phantom(slices=20, rows=24, columns=22, orientation=orientation)
    first, last = np.flatnonzero(phantom.mask.any(axis=(1, 2)))[[0, -1]]
    cut = phantom.affine.copy()
    cut[:3, 3] += first * cut[:3, 0]
    found = onto(phantom.mask[first : last + 1], cut, phantom.affine, phantom.shape)
    assert (found == phantom.mask).all()


def test_what_lies_outside_the_other_grid_is_left_out() -> None:
    phantom = Phantom(slices=6, rows=8, columns=7)
    elsewhere = phantom.affine.copy()
    elsewhere[:3, 3] += 3 * elsewhere[:3, 0]
    found = onto(np.ones(phantom.shape, bool), elsewhere, phantom.affine, phantom.shape)
    assert found.any(axis=(1, 2)).tolist() == [False, False, False, True, True, True]
    assert dice(found, ~found) == 0
