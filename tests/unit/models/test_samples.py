"""NIfTI is read by its header, grids lie where their axes say, and the synthetic CT is what it says."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from orchestrator.app.demo.sample_headers import slices, uid
from orchestrator.app.demo.samples import centred, read_nifti, synthetic_ct


def nifti(voxels: np.ndarray, spacing: tuple[float, float, float], *, kind: int = 4) -> bytes:
    """Return a gzipped NIfTI-1 file of int16 voxels (x, y, z)."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<4h", header, 40, 3, *voxels.shape)
    struct.pack_into("<h", header, 70, kind)
    struct.pack_into("<4f", header, 76, 1.0, *spacing)
    struct.pack_into("<f", header, 108, 352.0)
    return gzip.compress(bytes(header) + voxels.astype("<i2").tobytes(order="F"))


def test_voxels_and_spacing_are_read():
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    read, spacing = read_nifti(nifti(voxels, (1.0, 0.5, 2.0)))
    np.testing.assert_array_equal(read, voxels)
    np.testing.assert_allclose(spacing, (1.0, 0.5, 2.0))


def test_another_kind_of_voxels_is_refused():
    with pytest.raises(ValueError, match="16-bit"):
        read_nifti(nifti(np.zeros((2, 2, 2)), (1, 1, 1), kind=16))


def test_a_grid_has_its_centre_at_the_origin():
    affine = centred((11, 21, 31), np.array([(0, 0, 1), (0, 1, 0), (1, 0, 0)]), np.array([3.0, 2.0, 1.0]))
    np.testing.assert_allclose(affine @ (5, 10, 15, 1), (0, 0, 0, 1))
    np.testing.assert_allclose(affine @ (6, 10, 15, 1), (0, 0, 3, 1))


def test_the_synthetic_ct_has_air_tissue_and_a_skull_above_the_face_only():
    x, y, z = np.meshgrid(*[np.arange(60) - 30] * 3, indexing="ij")
    voxels = np.where(x**2 + y**2 + z**2 < 28**2, 300, 0)
    ct, spacing = synthetic_ct(nifti(voxels, (1, 1, 1)))
    assert set(np.unique(ct)) == {-1000, 40, 900}
    assert (ct.shape, tuple(spacing)) == ((30, 60, 60), (2, 1, 1))
    assert not (ct[:10] == 900).any()


def test_every_image_says_that_its_headers_are_synthetic():
    datasets = slices(np.zeros((2, 4, 4), np.int16), np.eye(4), "mr-head", "DEMO^HEAD", "somewhere 1.0 (MIT)", "MR")
    assert {dataset.ImageComments for dataset in datasets} == {"real anatomy, synthetic headers: somewhere 1.0 (MIT)"}
    assert {str(dataset.PatientName) for dataset in datasets} == {"DEMO^HEAD"}


def test_the_same_names_give_the_same_uid():
    assert uid("image", "mr-head", 1) == uid("image", "mr-head", 1) != uid("image", "mr-head", 2)
