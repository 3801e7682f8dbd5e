"""The voxels and their place in the patient are the phantom's, however the files are ordered and encoded."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from orchestrator.dicom import fill, gather, plan, read_instance
from orchestrator.dicom.read.pixel_values import HOUNSFIELD
from orchestrator.domain.errors import InputFault, UnreadablePixels, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.testing import ORIENTATIONS, Phantom, read_series, synthetic_series
from tests.data.faults import with_a_second_image_at_one_place, with_broken_pixels
from tests.data.series import ct_series, mr_series, pet_series

LOSSLESS = (
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
    *(RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless),
)


def bright_centroid(volume, phantom: Phantom) -> np.ndarray:
    """LPS mm of the mean of what is clearly brighter than tissue."""
    _, tissue, lesion = phantom.values or (-1000, 40, 400)
    index = np.argwhere(volume.voxels > (tissue + lesion) / 2)
    return (volume.affine[:3, :3] @ index.T).mean(axis=1) + volume.affine[:3, 3]


def faults(paths, **accepts) -> InputFault:
    with pytest.raises(UnsupportedInput) as refusal:
        read_series(paths, Accepts(**accepts))
    return refusal.value.fault


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("order", ["ascending", "reversed", "shuffled"])
def test_file_order_and_instance_numbers_never_matter(orientation, order, tmp_path):
    series = synthetic_series(tmp_path, orientation=orientation, order=order, slices=8, rows=24, columns=20)
    volume = series.read()
    np.testing.assert_array_equal(volume.voxels, series.phantom.voxels)
    np.testing.assert_allclose(volume.affine, series.phantom.affine, atol=1e-6)


def test_anisotropic_in_plane_spacing_is_not_swapped(tmp_path):
    series = synthetic_series(tmp_path, spacing=(3.0, 0.5, 2.0), rows=40, columns=24)
    volume = series.read()
    assert volume.spacing == pytest.approx((3.0, 0.5, 2.0))
    np.testing.assert_allclose(bright_centroid(volume, series.phantom), series.phantom.centroid, atol=1e-6)


def test_positions_are_those_of_each_slices_first_pixel(tmp_path):
    series = synthetic_series(tmp_path, orientation="oblique", slices=5, rows=8, columns=8)
    np.testing.assert_allclose(series.read().positions, series.phantom.points[:, 0, 0], atol=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-math.pi, math.pi)] * 3),
    spacing=st.tuples(st.floats(0.3, 8), st.floats(0.2, 3), st.floats(0.2, 3)),
    centre=st.tuples(*[st.floats(-300, 300)] * 3),
    order=st.sampled_from(["ascending", "reversed", "shuffled"]),
    flip=st.booleans(),
)
def test_the_lesion_is_found_where_it_is_for_any_orientation(angles, spacing, centre, order, flip, tmp_path_factory):
    one, two, three = angles
    turn = _about(2, one) @ _about(1, two) @ _about(0, three)
    cosines = (*turn[:, 0], *(-turn[:, 1] if flip else turn[:, 1]))
    series = synthetic_series(
        tmp_path_factory.mktemp("any"),
        **{"orientation": cosines, "spacing": spacing, "centre": centre, "order": order},
        **{"slices": 6, "rows": 14, "columns": 11},
    )
    volume = series.read()
    np.testing.assert_allclose(bright_centroid(volume, series.phantom), series.phantom.centroid, atol=1e-3)


def _about(axis: int, angle: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.eye(3)
    others = [index for index in range(3) if index != axis]
    turn[np.ix_(others, others)] = [[cosine, -sine], [sine, cosine]]
    return turn


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name[:40])
@pytest.mark.parametrize("encoding", [{"bits": (16, 12), "signed": False}, {"bits": (16, 16), "signed": True}])
def test_every_lossless_encoding_gives_the_same_voxels(syntax, encoding, tmp_path):
    paths = ct_series(tmp_path, slices=3, rows=32, columns=24, transfer_syntax=syntax, **encoding)
    truth = Phantom(slices=3, rows=32, columns=24, intercept=-1024.0, **encoding)
    np.testing.assert_array_equal(read_series(paths).voxels, truth.voxels)


def test_a_frame_in_several_fragments_is_put_together(tmp_path):
    encoding = {"bits": (16, 12), "signed": False, "slices": 2}
    paths = ct_series(tmp_path, transfer_syntax=JPEG2000Lossless, fragments=3, **encoding)
    np.testing.assert_array_equal(read_series(paths).voxels, Phantom(intercept=-1024.0, **encoding).voxels)


def test_a_ct_is_int16_in_hounsfield_units(tmp_path):
    volume = read_series(ct_series(tmp_path, slices=3))
    assert (volume.voxels.dtype, volume.unit, volume.modality) == (np.int16, HOUNSFIELD, "CT")


def test_the_type_comes_from_all_slices_not_from_the_first(tmp_path):
    slopes = [1.0] * 4 + [0.25]
    phantom = {"modality": "PT", "slices": 5, "slope": slopes, "intercept": 0.0, "rows": 16, "columns": 16}
    series = synthetic_series(tmp_path, **phantom)
    volume = series.read()
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, series.phantom.voxels, rtol=1e-6)


def test_pet_slopes_are_applied_slice_by_slice(tmp_path):
    volume = read_series(pet_series(tmp_path, slices=6))
    assert volume.unit == "Bq/ml"
    assert volume.voxels.max() == pytest.approx(9000, rel=1e-3)


def test_unsigned_sixteen_bits_do_not_wrap(tmp_path):
    values = {"values": (0.0, 40000.0, 65000.0), "bits": (16, 16), "signed": False}
    volume = read_series(mr_series(tmp_path, slices=3, **values))
    assert volume.voxels.dtype == np.uint16
    assert volume.voxels.max() == 65000


def test_garbage_above_the_stored_bits_is_cleared(tmp_path):
    def overlay(dataset, _):
        stored = np.frombuffer(dataset.PixelData, "<u2") | 0xA000
        dataset.PixelData = stored.tobytes()

    parameters = {"slices": 3, "bits": (16, 12), "signed": False, "intercept": -1024.0}
    paths = ct_series(tmp_path, edit=overlay, **parameters)
    np.testing.assert_array_equal(read_series(paths).voxels, Phantom(**parameters).voxels)


def test_negative_twelve_bit_values_carry_their_sign_up(tmp_path):
    def cut(dataset, _):
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF).tobytes()

    parameters = {"slices": 3, "bits": (16, 12), "signed": True, "intercept": 0.0}
    paths = ct_series(tmp_path, edit=cut, **parameters)
    np.testing.assert_array_equal(read_series(paths).voxels, Phantom(**parameters).voxels)


def test_a_ct_that_is_lower_than_int16_ends_at_its_limit(tmp_path):
    volume = read_series(ct_series(tmp_path, slices=2, values=(-33000.0, 40.0, 400.0), intercept=-1024.0))
    assert volume.voxels.min() == -32768
    assert (volume.voxels > 0).any()


@pytest.mark.parametrize("signed", [True, False])
def test_padding_of_a_ct_becomes_air(signed, tmp_path):
    padding, intercept = (-2000, 0.0) if signed else (63536, -1024.0)
    volume = read_series(ct_series(tmp_path, slices=2, padding=padding, signed=signed, intercept=intercept))
    assert (volume.voxels[:, :8, :8] == -1024).all()


def test_a_slope_written_several_times_counts_once_and_several_slopes_are_refused(tmp_path):
    assert read_series(ct_series(tmp_path / "a", slices=2, attributes={"RescaleSlope": ["1", "1"]})).unit == HOUNSFIELD
    paths = ct_series(tmp_path / "b", slices=2, attributes={"RescaleSlope": ["1", "2"]})
    assert faults(paths) is InputFault.UNSUPPORTED_ENCODING


def test_a_ct_without_rescale_is_refused(tmp_path):
    paths = ct_series(tmp_path, slices=2, attributes={"RescaleSlope": None, "RescaleIntercept": None})
    assert faults(paths) is InputFault.UNSUPPORTED_ENCODING


def test_an_mr_without_rescale_is_read_as_stored(tmp_path):
    volume = read_series(mr_series(tmp_path, slices=3))
    assert volume.unit == "1"
    assert volume.voxels.max() == 900


def test_a_modality_lut_is_applied(tmp_path):
    def lut(dataset, _):
        item = type(dataset)()
        item.add_new("LUTDescriptor", "US", [1024, 0, 16])
        item.ModalityLUTType = "US"
        item.add_new("LUTData", "OW", np.arange(1024, dtype="<u2")[::-1].tobytes())
        dataset.ModalityLUTSequence = [item]

    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        volume = read_series(mr_series(tmp_path / syntax, slices=2, edit=lut, transfer_syntax=syntax))
        assert volume.voxels.min() == 1023 - 900
        assert volume.voxels[0, 0, 0] == 1023


def test_floating_point_pixels_are_read(tmp_path):
    def floating(dataset, _):
        stored = np.frombuffer(dataset.PixelData, "<u2").astype("<f4") / 4
        for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            del dataset[keyword]
        dataset.BitsAllocated, dataset.FloatPixelData = 32, stored.tobytes()

    volume = read_series(mr_series(tmp_path, slices=2, edit=floating))
    assert (volume.voxels.dtype, volume.voxels.max()) == (np.float32, 225)


def test_bits_stored_of_one_are_refused(tmp_path):
    paths = ct_series(tmp_path, slices=2, attributes={"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0})
    assert faults(paths) is InputFault.UNSUPPORTED_ENCODING


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"missing": [4]}, InputFault.MISSING_SLICE),
        ({"missing": [3, 4]}, InputFault.MISSING_SLICE),
        ({"time_points": 2}, InputFault.SEVERAL_TIME_POINTS),
        ({"time_points": 2, "attributes": {"TemporalPositionIdentifier": None}}, InputFault.SEVERAL_TIME_POINTS),
        ({"tilt_degrees": 15.0}, InputFault.GANTRY_TILT),
        ({"attributes": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}}, InputFault.LOCALIZER),
        ({"attributes": {"ImagePositionPatient": None}}, InputFault.NO_GEOMETRY),
        ({"attributes": {"PixelSpacing": None}}, InputFault.NO_GEOMETRY),
        ({"attributes": {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}}, InputFault.NO_GEOMETRY),
        ({"attributes": {"PatientID": None, "PatientName": None}}, InputFault.NO_IDENTITY),
    ],
    ids=str,
)
def test_each_fault_of_geometry_is_named(parameters, fault, tmp_path):
    assert faults(ct_series(tmp_path, slices=8, rows=16, columns=16, **parameters)) is fault


def test_two_different_images_at_one_place_are_named(tmp_path):
    with_a_second_image_at_one_place(tmp_path)
    assert faults(sorted(tmp_path.iterdir())) is InputFault.DUPLICATE_POSITION


def test_a_slice_under_two_uids_is_read_once(tmp_path):
    phantom = {"slices": 8, "rows": 16, "columns": 16}
    volume = read_series(ct_series(tmp_path, duplicate=[2], **phantom))
    np.testing.assert_array_equal(volume.voxels, Phantom(intercept=-1024.0, **phantom).voxels)


def _on_slice_3(**attributes):
    def edit(dataset, index):
        if index == 3:
            for keyword, value in attributes.items():
                setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, InputFault.MIXED_ORIENTATION),
        ({"PixelSpacing": [0.7, 0.8]}, InputFault.MIXED_SIZE),
        ({"Rows": 8, "Columns": 32}, InputFault.MIXED_SIZE),
        ({"PatientID": "SOMEBODY-ELSE"}, InputFault.MIXED_PATIENT),
        ({"PatientName": "Somebody^Else"}, InputFault.MIXED_PATIENT),
        ({"PatientID": ""}, InputFault.MIXED_PATIENT),
        ({"SeriesInstanceUID": "1.2.3"}, InputFault.MIXED_SERIES),
        ({"StudyInstanceUID": "1.2.3"}, InputFault.MIXED_SERIES),
        ({"FrameOfReferenceUID": "1.2.3"}, InputFault.MIXED_SERIES),
        ({"RescaleType": "Z_EFF"}, InputFault.WRONG_UNIT),
        ({"ImagePositionPatient": [0, 0, 0.4]}, InputFault.IRREGULAR_SPACING),
    ],
    ids=str,
)
def test_one_odd_slice_is_noticed(attributes, fault, tmp_path):
    paths = ct_series(tmp_path, slices=8, rows=16, columns=16, edit=_on_slice_3(**attributes), centre=(5.25, 6, 0))
    found = faults(paths)
    assert found is fault or (fault is InputFault.IRREGULAR_SPACING and found is InputFault.GANTRY_TILT)


def test_no_fault_tells_whose_images_they_are(tmp_path):
    paths = ct_series(tmp_path, slices=4, edit=_on_slice_3(PatientID="SOMEBODY-ELSE", PatientName="Else^Somebody"))
    with pytest.raises(UnsupportedInput) as refusal:
        read_series(paths)
    assert "PatientID" in str(refusal.value)
    assert "SOMEBODY" not in str(refusal.value).upper()


def test_empty_patient_attributes_are_fine_where_all_are_empty(tmp_path):
    empty = {"PatientID": "", "PatientBirthDate": "", "IssuerOfPatientID": None}
    assert read_series(ct_series(tmp_path, slices=3, attributes=empty)).shape[0] == 3


def test_two_time_points_are_named_with_what_tells_them_apart(tmp_path):
    with pytest.raises(
        UnsupportedInput, match="2 images at each of 5 positions, which differ in TemporalPositionIdentifier"
    ):
        read_series(ct_series(tmp_path, slices=5, time_points=2))


def test_a_tilted_stack_is_read_sheared_where_the_model_takes_it(tmp_path):
    series = synthetic_series(tmp_path, tilt_degrees=15.0, order="shuffled")
    volume = series.read(Accepts(gantry_tilt=True))
    np.testing.assert_allclose(volume.affine, series.phantom.affine, atol=1e-6)
    assert volume.voxel_ml == pytest.approx(3.0 * 0.8 * 0.7 / 1000)


def test_a_stack_with_a_gap_has_positions_and_no_affine(tmp_path):
    series = synthetic_series(tmp_path, missing=[4], slices=8, rows=16, columns=16)
    volume = series.read(Accepts(geometry=Geometry.STACK))
    assert volume.affine is None
    np.testing.assert_allclose(volume.positions, np.delete(series.phantom.points[:, 0, 0], 4, axis=0), atol=1e-6)


def test_one_slice_is_as_thick_as_it_says(tmp_path):
    assert synthetic_series(tmp_path / "a", slices=1).read().spacing == pytest.approx((3.0, 0.8, 0.7))
    spaced = {"slices": 1, "attributes": {"SpacingBetweenSlices": "4"}}
    assert synthetic_series(tmp_path / "b", **spaced).read().spacing == pytest.approx((4.0, 0.8, 0.7))


def test_one_slice_of_unknown_thickness_is_no_volume_but_a_stack(tmp_path):
    paths = ct_series(tmp_path, slices=1, attributes={"SliceThickness": None})
    assert faults(paths) is InputFault.NO_GEOMETRY
    assert read_series(paths, Accepts(geometry=Geometry.STACK)).affine is None


def test_fewer_slices_than_the_model_takes_are_refused(tmp_path):
    assert faults(ct_series(tmp_path, slices=4), minimum_slices=5) is InputFault.TOO_FEW_SLICES


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_regular(tmp_path):
    def rounded(dataset, _):
        dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]

    series = synthetic_series(tmp_path, spacing=(0.625, 0.8, 0.7), slices=33, rows=8, columns=8, edit=rounded)
    assert series.read().spacing[0] == pytest.approx(0.625, rel=0.01)


def test_pixels_that_end_early_are_refused_before_they_are_read(tmp_path):
    paths = ct_series(tmp_path, slices=3)
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    assert faults(paths) is InputFault.TRUNCATED


def test_a_file_that_changed_since_it_was_read_is_refused(tmp_path):
    paths = ct_series(tmp_path, slices=3)
    grid = plan(gather([read_instance(path) for path in paths]), Accepts())[0]
    paths[1].write_bytes(paths[1].read_bytes() + b"\0\0")
    with pytest.raises(UnsupportedInput, match="changed after it was read"):
        fill(grid, np.empty(grid.shape, grid.dtype))


def test_a_file_that_is_gone_is_named_by_its_image(tmp_path):
    paths = ct_series(tmp_path, slices=3)
    grid = plan(gather([read_instance(path) for path in paths]), Accepts())[0]
    paths[1].unlink()
    with pytest.raises(UnsupportedInput, match=grid.frames[1].sop_uid):
        fill(grid, np.empty(grid.shape, grid.dtype))


def test_the_array_is_filled_in_place_and_the_volume_is_read_only(tmp_path):
    grid = plan(gather([read_instance(path) for path in ct_series(tmp_path, slices=3)]), Accepts())[0]
    out = np.memmap(tmp_path / "volume", grid.dtype, "w+", shape=grid.shape)
    volume = fill(grid, out)
    assert np.shares_memory(volume.voxels, out)
    assert not volume.voxels.flags.writeable


@pytest.mark.parametrize("wrong", [np.empty((3, 64, 64), np.int32), np.empty((3, 64, 65), np.int16)])
def test_an_array_of_another_shape_or_type_is_refused(wrong, tmp_path):
    grid = plan(gather([read_instance(path) for path in ct_series(tmp_path, slices=3)]), Accepts())[0]
    with pytest.raises(ValueError, match="int16"):
        fill(grid, wrong)


def test_a_report_among_the_images_is_left_aside(tmp_path):
    paths = ct_series(tmp_path, slices=4)

    def report(dataset, _):
        dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.88.22", "SR"
        del dataset.PixelData

    extra = ct_series(tmp_path / "sr", slices=1, edit=report)
    assert read_series([*paths, *extra]).shape[0] == 4


def test_a_model_is_told_how_images_were_made_and_not_whose_they_are(tmp_path):
    facts = read_series(ct_series(tmp_path, slices=3, attributes={"ConvolutionKernel": "B70f"})).facts
    assert (facts["ConvolutionKernel"], facts["SliceThickness"]) == ("B70f", 3.0)
    assert not any(keyword.startswith("Patient") and keyword != "PatientPosition" for keyword in facts)


def test_all_images_whose_pixels_cannot_be_decoded_are_named_at_once(tmp_path):
    with_broken_pixels(1, 4)(tmp_path)
    broken = [dcmread(path).SOPInstanceUID for path in sorted(tmp_path.iterdir())]
    with pytest.raises(UnreadablePixels) as refusal:
        read_series(sorted(tmp_path.iterdir()))
    assert set(refusal.value.sop_uids) == {broken[1], broken[4]}
    assert refusal.value.fault is InputFault.UNREADABLE
    assert pickle.loads(pickle.dumps(refusal.value)).sop_uids == refusal.value.sop_uids
