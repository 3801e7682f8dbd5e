"""plan() reads headers alone: nothing of these images lies on disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.dicom import gather, plan
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from tests.data.instances import image, images

ANY_UNIT = ("[hnsf'U]", "1", "{Z_eff}", "10*23/ml", "{ED_water}", "{OD}", "%", "mg/ml", "Bq/ml", "g/ml")


def grid(instances, **accepts):
    return plan(gather(instances), Accepts(**accepts))[0]


def fault(instances, **accepts) -> InputFault:
    with pytest.raises(UnsupportedInput) as refusal:
        plan(gather(instances), Accepts(**accepts))
    return refusal.value.fault


def test_slices_are_ordered_along_the_normal():
    found = grid(images(9, 0, 6, 3))
    assert [frame.sop_uid for frame in found.frames] == ["1.2.3.2", "1.2.3.4", "1.2.3.3", "1.2.3.1"]
    assert found.shape == (4, 16, 16)
    np.testing.assert_allclose(found.affine[:3, :3], [[0, 0, 0.7], [0, 0.8, 0], [3, 0, 0]])


def test_a_ct_is_planned_as_int16_hounsfield_units():
    found = grid(images(0, 3))
    assert (found.dtype, found.unit, found.modality) == (np.int16, "[hnsf'U]", "CT")


@pytest.mark.parametrize(
    ("headers", "dtype"),
    [
        ({"Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None, "PixelRepresentation": 0}, np.uint16),
        ({"Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None, "PixelRepresentation": 1}, np.int16),
        ({"Modality": "MR", "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}, np.int16),
        ({"Modality": "MR", "RescaleSlope": 4.0, "PixelRepresentation": 0}, np.int32),
        ({"Modality": "MR", "RescaleSlope": 0.5}, np.float32),
        ({"Modality": "MR", "RescaleIntercept": 0.5}, np.float32),
        ({"Modality": "CT", "RescaleSlope": 0.5}, np.float32),
        ({"Modality": "CT", "RescaleType": "MGML", "RescaleIntercept": 0.0}, np.int16),
    ],
    ids=str,
)
def test_the_type_holds_every_value_that_can_be_stored(headers, dtype):
    sop_class = "1.2.840.10008.5.1.4.1.1.4" if headers["Modality"] == "MR" else "1.2.840.10008.5.1.4.1.1.2"
    assert grid(images(0, 3, sop_class=sop_class, **headers), unit=ANY_UNIT).dtype == dtype


@pytest.mark.parametrize(
    ("headers", "unit"),
    [
        ({"Modality": "PT", "Units": "BQML"}, "Bq/ml"),
        ({"Modality": "PT", "Units": "GML"}, "g/ml"),
        ({"Modality": "PT", "Units": "PROPCPS"}, "1"),
        ({"Modality": "CT", "RescaleType": "HU"}, "[hnsf'U]"),
        ({"Modality": "CT", "RescaleType": "HU_MOD"}, "[hnsf'U]"),
        ({"Modality": "CT", "RescaleType": "US", "ImageType": ("ORIGINAL", "PRIMARY")}, "[hnsf'U]"),
        ({"Modality": "CT", "RescaleType": "US", "ImageType": ("DERIVED", "PRIMARY")}, "1"),
        ({"Modality": "CT", "RescaleType": "US", "ImageType": ("ORIGINAL",), "RescaleIntercept": 0.0}, "1"),
        ({"Modality": "CT", "RescaleType": "Z_EFF"}, "{Z_eff}"),
        ({"Modality": "CT", "RescaleType": "ED"}, "10*23/ml"),
        ({"Modality": "CT", "RescaleType": "EDW"}, "{ED_water}"),
        ({"Modality": "MR", "RescaleType": "US"}, "1"),
    ],
    ids=str,
)
def test_units_come_from_the_header(headers, unit):
    assert grid(images(0, 3, **headers), unit=ANY_UNIT).unit == unit


@pytest.mark.parametrize("kind", ["Z_EFF", "MGML", "ED", "EDW", "OD", "PCT", "US", "a maker's own"])
@pytest.mark.parametrize("geometry", Geometry)
def test_a_ct_that_is_not_in_hu_is_refused_unless_the_model_takes_its_unit(kind, geometry):
    maps = images(0, 3, RescaleType=kind, ImageType=("DERIVED", "PRIMARY"))
    with pytest.raises(UnsupportedInput, match=f"RescaleType {kind}.*takes HU") as refusal:
        plan(gather(maps), Accepts(geometry=geometry))
    assert refusal.value.fault is InputFault.WRONG_UNIT
    assert grid(maps, geometry=geometry, unit=ANY_UNIT).shape == (2, 16, 16)


def test_a_stack_of_screenshots_of_a_ct_is_in_no_unit_that_a_model_of_ct_takes():
    headers = {"RescaleSlope": None, "RescaleIntercept": None}
    shots = images(0, 3, sop_class="1.2.840.10008.5.1.4.1.1.7", **headers)
    assert fault(shots) is InputFault.WRONG_UNIT
    assert grid(shots, geometry=Geometry.IMAGE).unit == "1"


def test_a_pet_in_becquerel_is_refused_by_a_model_of_suv():
    pet = images(0, 3, Modality="PT", Units="BQML")
    assert grid(pet).unit == "Bq/ml"
    assert fault(pet, unit=("g/ml",)) is InputFault.WRONG_UNIT


def test_one_slice_in_another_unit_is_enough_to_refuse_the_series():
    assert fault([*images(0, 3), image(9, 6.0, RescaleType="Z_EFF")]) is InputFault.WRONG_UNIT


@pytest.mark.parametrize(
    "headers",
    [
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11},
        {"BitsStored": 17, "HighBit": 16},
        {"HighBit": 3},
        {"Rows": 0},
        {"Rows": "many"},
        {"BitsAllocated": None},
        {"SamplesPerPixel": 4},
        {"SamplesPerPixel": 1, "PhotometricInterpretation": "RGB"},
        {"RescaleSlope": (1.0, 2.0)},
        {"RescaleSlope": "x"},
        {"RescaleSlope": 0.0},
        {"RescaleSlope": None, "RescaleIntercept": None},
    ],
    ids=str,
)
def test_pixels_that_cannot_be_understood_are_refused(headers):
    assert fault(images(0, 3, **headers)) is InputFault.UNSUPPORTED_ENCODING


def test_too_few_bytes_for_the_pixels_are_truncated():
    assert fault(images(0, 3, Rows=17)) is InputFault.TRUNCATED


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(6)), times=st.integers(2, 3))
def test_several_time_points_are_told_from_duplicates_in_any_order(order, times):
    timed = [image(10 * index + time, index * 3.0, TriggerTime=time * 50.0) for index in order for time in range(times)]
    assert fault(timed) is InputFault.SEVERAL_TIME_POINTS
    untimed = [image(10 * index + time, index * 3.0) for index in order for time in range(times)]
    assert fault(untimed) is InputFault.DUPLICATE_POSITION


def test_one_place_twice_is_a_duplicate_though_the_times_differ():
    first = images(0, 3, 6, AcquisitionTime="101500")
    again = images(99, 99, 99, 3, AcquisitionTime="101700")[3]
    assert fault([*first, again]) is InputFault.DUPLICATE_POSITION


def test_minimum_slices_are_counted_for_pictures_too():
    assert fault(images(0, 3), geometry=Geometry.IMAGE, minimum_slices=3) is InputFault.TOO_FEW_SLICES


def test_a_series_of_reports_has_no_images():
    assert fault(images(0, sop_class="1.2.840.10008.5.1.4.1.1.88.22")) is InputFault.NO_PIXELS


@pytest.mark.parametrize("names", [("Doe^Jane", "DOE^JANE"), ("Doe^Jane", "Doe^Jane^^^"), ("Doe^Jane ", "Doe^Jane")])
def test_ways_to_write_one_name_are_one_patient(names):
    first, second = (images(0, 3, PatientName=name)[number] for number, name in enumerate(names))
    assert grid([first, second]).shape[0] == 2


def test_a_text_where_a_number_belongs_is_no_fact_for_the_model():
    found = grid(images(0, 3, 6, SliceThickness="Doe^Jane", KVP=120.0))
    assert found.facts["KVP"] == 120.0
    assert "SliceThickness" not in found.facts


def test_images_of_a_private_class_are_refused_by_name() -> None:
    assert fault(images(0, 3, sop_class="1.3.46.670589.5.0.12")) is InputFault.UNSUPPORTED_CLASS


def reason(instances, **accepts) -> str:
    with pytest.raises(UnsupportedInput) as refused:
        plan(gather(instances), Accepts(**accepts))
    return str(refused.value)


def test_a_decimal_comma_is_named_with_its_attribute() -> None:
    said = reason(images(0, 3, 6, PixelSpacing=("0,75", "0,75")))
    assert said.startswith("no-geometry: 3 of 3 images")
    assert said.endswith(": PixelSpacing is 0,75/0,75")


@pytest.mark.parametrize("gantry_tilt", [False, True])
def test_a_field_of_view_that_moved_is_no_gantry_tilt(gantry_tilt: bool) -> None:
    places = [(20.0 if at > 4 else 0.0, 0.0, 3.0 * at) for at in range(10)]
    moved = [image(at, place[2], ImagePositionPatient=place) for at, place in enumerate(places, 1)]
    said = reason(moved, gantry_tilt=gantry_tilt)
    assert said == "shifted: the images shift by 20.0 mm in their plane between slices 5 and 6 of 10"
