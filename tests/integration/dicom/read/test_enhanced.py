"""Multi-frame CT and MR: geometry and rescale come from the functional groups of each frame."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from orchestrator.dicom import gather, plan, read_instance
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.testing import Phantom, read_series
from tests.data.series import enhanced_ct, enhanced_mr


def truth(modality: str, **parameters) -> Phantom:
    scale = {"intercept": -1024.0} if modality == "CT" else {"slope": 0.5, "intercept": -20.0, "signed": False}
    return Phantom(**({"modality": modality} | scale | parameters))


@pytest.mark.parametrize("orientation", ["axial", "oblique", "feet-first", "coronal"])
def test_frames_in_any_order_make_the_same_volume(orientation, tmp_path):
    size = {"slices": 6, "rows": 20, "columns": 16, "orientation": orientation}
    volume = read_series([enhanced_ct(tmp_path, frame_order=[3, 0, 5, 1, 4, 2], **size)])
    phantom = truth("CT", **size)
    np.testing.assert_array_equal(volume.voxels, phantom.voxels)
    np.testing.assert_allclose(volume.affine, phantom.affine, atol=1e-6)


def test_each_frames_own_rescale_is_applied(tmp_path):
    scale = {"slices": 4, "slope": [0.5, 1.0, 2.0, 0.25], "intercept": [-20.0, -20.0, -40.0, -20.0]}
    volume = read_series([enhanced_mr(tmp_path, **scale)])
    np.testing.assert_allclose(volume.voxels, truth("MR", **scale).voxels, rtol=1e-6)


def test_an_enhanced_ct_without_rescale_is_refused(tmp_path):
    def strip(dataset):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.PixelValueTransformationSequence

    with pytest.raises(UnsupportedInput) as refusal:
        read_series([enhanced_ct(tmp_path, slices=3, edit=strip)])
    assert refusal.value.fault is InputFault.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_encoded_frames_come_in_the_order_of_their_places(syntax, tmp_path):
    size = {"slices": 6, "rows": 20, "columns": 16, "bits": (16, 12), "signed": False}
    path = enhanced_ct(tmp_path, frame_order=[3, 0, 5, 1, 4, 2], transfer_syntax=syntax, **size)
    np.testing.assert_array_equal(read_series([path]).voxels, truth("CT", **size).voxels)


def test_frames_are_numbered_from_one_in_the_grid(tmp_path):
    path = enhanced_ct(tmp_path, slices=4, frame_order=[3, 0, 2, 1])
    grid = plan(gather([read_instance(path)]), Accepts())[0]
    assert [frame.frame for frame in grid.frames] == [2, 4, 3, 1]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"missing": [2]}, InputFault.MISSING_SLICE),
        ({"duplicate": [2]}, InputFault.DUPLICATE_POSITION),
        ({"time_points": 3}, InputFault.SEVERAL_TIME_POINTS),
        ({"tilt_degrees": 20.0}, InputFault.GANTRY_TILT),
    ],
    ids=str,
)
def test_faults_of_frames_are_named_as_those_of_files(parameters, fault, tmp_path):
    with pytest.raises(UnsupportedInput) as refusal:
        read_series([enhanced_ct(tmp_path, slices=6, **parameters)])
    assert refusal.value.fault is fault


def test_frames_and_groups_that_do_not_match_are_refused(tmp_path):
    def cut(dataset):
        dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:-1]

    with pytest.raises(UnsupportedInput, match="describes 3 frames but has 4"):
        read_series([enhanced_ct(tmp_path, slices=4, edit=cut)])


def test_geometry_shared_by_all_frames_is_found(tmp_path):
    path = enhanced_mr(tmp_path, slices=5, spacing=(2.0, 1.5, 1.0))
    assert read_series([path]).spacing == pytest.approx((2.0, 1.5, 1.0))


def test_an_enhanced_image_can_be_taken_frame_by_frame(tmp_path):
    volume = read_series([enhanced_ct(tmp_path, slices=4, missing=[2])], Accepts(geometry=Geometry.IMAGE))
    assert (volume.shape[0], volume.affine) == (3, None)
