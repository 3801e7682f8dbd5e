"""Laws of the geometry: the affine is the grid's, whatever the order; faults are told apart."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from orchestrator.dicom.headers import geometry
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import Plane

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def planes_at(*places: float, orientation=AXIAL, spacing=(0.8, 0.7), shift=0.0) -> list[Plane]:
    """Planes along the normal at these distances, shifted along the columns by ``shift`` per mm."""
    normal, down = geometry.normal_of(orientation), np.array(orientation[3:])
    return [Plane(tuple(at * normal + at * shift * down), orientation, spacing) for at in places]


def stack(planes, *, slice_mm=None, regular=True, gantry_tilt=False):
    return geometry.stack(planes, slice_mm=slice_mm, regular=regular, gantry_tilt=gantry_tilt)


def fault(planes, **accepts) -> InputFault:
    with pytest.raises(UnsupportedInput) as refusal:
        stack(planes, **accepts)
    return refusal.value.fault


@st.composite
def orientations(draw) -> tuple[float, ...]:
    row = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    other = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    assume(np.linalg.norm(row) > 0.1)
    assume(np.linalg.norm(np.cross(row, other)) > 0.1)
    row = row / np.linalg.norm(row)
    column = np.cross(np.cross(row, other), row)
    return tuple(row.tolist()) + tuple((column / np.linalg.norm(column)).tolist())


@settings(deadline=None)
@given(
    orientation=orientations(),
    step=st.floats(0.3, 10),
    spacing=st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)),
    order=st.permutations(range(7)),
)
def test_the_affine_does_not_depend_on_the_order(orientation, step, spacing, order):
    planes = planes_at(*(index * step for index in order), orientation=orientation, spacing=spacing)
    stacking = stack(planes)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    expected = np.stack([np.cross(row, column) * step, column * spacing[0], row * spacing[1]], axis=1)
    np.testing.assert_allclose(stacking.affine[:3, :3], expected, atol=1e-6)
    assert [order[index] for index in stacking.order] == list(range(7))


@settings(deadline=None)
@given(lacking=st.integers(1, 8), count=st.integers(10, 30), step=st.floats(0.2, 8))
def test_a_missing_slice_is_never_taken_for_a_regular_grid(lacking, count, step):
    places = [index * step for index in range(count) if index != lacking]
    assert fault(planes_at(*places)) is InputFault.MISSING_SLICE


@settings(deadline=None)
@given(index=st.integers(1, 8), off=st.floats(0.21, 0.45), step=st.floats(0.3, 8))
def test_a_slice_off_its_place_is_irregular(index, off, step):
    places = [number * step + (off * step if number == index else 0) for number in range(10)]
    assert fault(planes_at(*places)) in {InputFault.IRREGULAR_SPACING, InputFault.MISSING_SLICE}


@settings(deadline=None)
@example(step=0.5, offs=[-0.05, 0.0, 0.05, -0.05])
@given(step=st.floats(0.5, 8), offs=st.lists(st.floats(-0.05, 0.05), min_size=4, max_size=40))
def test_places_rounded_to_a_tenth_of_a_millimetre_are_regular(step, offs):
    assert stack(planes_at(*(index * step + off for index, off in enumerate(offs)))).affine is not None


def test_spacing_that_drifts_is_irregular_though_each_gap_is_nearly_the_same():
    places = [*np.arange(0, 100, 1.0), *np.arange(100, 202, 1.02)]
    assert fault(planes_at(*places)) is InputFault.IRREGULAR_SPACING


def test_a_missing_slice_is_told_with_its_place():
    with pytest.raises(
        UnsupportedInput, match=r"1 slice is missing: 6\.00 mm between slices 2 and 3 of 4, usual 3\.00 mm"
    ):
        stack(planes_at(0, 3, 9, 12))


def test_an_irregular_stack_has_no_affine_where_none_is_needed():
    stacking = stack(planes_at(0, 3, 9, 12), regular=False)
    assert stacking.affine is None
    assert stacking.positions[:, 2].tolist() == [0, 3, 9, 12]


@pytest.mark.parametrize("degrees", [1, 5, 30])
def test_a_sheared_stack_is_a_gantry_tilt(degrees):
    planes = planes_at(0, 3, 6, 9, shift=math.tan(math.radians(degrees)))
    assert fault(planes) is InputFault.GANTRY_TILT
    sheared = stack(planes, gantry_tilt=True).affine
    assert sheared[1, 0] == pytest.approx(3 * math.tan(math.radians(degrees)))


def test_half_a_degree_counts_as_upright_and_the_affine_keeps_it():
    shift = math.tan(math.radians(0.4))
    assert stack(planes_at(0, 3, 6, 9, shift=shift)).affine[1, 0] == pytest.approx(3 * shift)


def test_one_slice_is_as_thick_as_is_said():
    assert stack(planes_at(5), slice_mm=4.0).affine[:3, 0].tolist() == [0, 0, 4.0]
    assert fault(planes_at(5)) is InputFault.NO_GEOMETRY
    assert stack(planes_at(5), regular=False).affine is None


@pytest.mark.parametrize(
    ("orientation", "name"),
    [
        (AXIAL, "axial"),
        ((-1, 0, 0, 0, 1, 0), "axial"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        ((1, 0, 0, 0, math.cos(math.radians(25)), math.sin(math.radians(25))), "axial"),
        ((1, 0, 0, 0, math.cos(math.radians(40)), math.sin(math.radians(40))), "oblique"),
    ],
)
def test_an_orientation_is_named_after_the_axis_it_is_stacked_along(orientation, name):
    assert geometry.orientation_name(orientation) == name


@pytest.mark.parametrize("orientation", [(1, 0, 0, 1, 0, 0), (0, 0, 0, 0, 1, 0), (2, 0, 0, 0, 1, 0)])
def test_an_orientation_that_is_none_is_no_geometry(orientation):
    planes = [Plane((0, 0, 0), orientation, (1, 1))]
    with pytest.raises(UnsupportedInput) as refusal:
        geometry.check_orientation(planes)
    assert refusal.value.fault is InputFault.NO_GEOMETRY


def test_rounding_of_cosines_is_no_second_orientation():
    slightly = (1.0, 0.0004, 0.0, -0.0004, 1.0, 0.0)
    geometry.check_orientation(planes_at(0, 3) + planes_at(6, orientation=slightly))


def test_facts_tell_plane_gap_and_time_points():
    planes = planes_at(0, 3, 6, 9, 0, 3, 6, 9)
    assert geometry.geometry_facts(planes) == {"Orientation": ("axial",), "SliceSpacing": (3.0,), "TimePoints": (2,)}


def test_facts_tell_no_gap_where_gaps_differ():
    assert geometry.geometry_facts(planes_at(0, 3, 9)) == {"Orientation": ("axial",), "TimePoints": (1,)}


def test_facts_of_nothing_are_none():
    assert geometry.geometry_facts([]) == {}


def test_slices_that_are_tilted_against_each_other_a_little_have_one_orientation() -> None:
    tilted = (1.0, 0.0, 0.0, 0.0, math.cos(0.01), math.sin(0.01))
    facts = geometry.geometry_facts([*planes_at(0, 3), *planes_at(6, orientation=tilted)])
    assert facts["Orientation"] == ("axial",)
