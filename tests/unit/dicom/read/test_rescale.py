"""Stored values become values of the grid: as exact arithmetic says, in any type that common_dtype chose."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.dicom.read.pixel_values import HOUNSFIELD, PixelLayout, Rescale, Table, common_dtype
from orchestrator.dicom.read.pixels import apply_rescale
from orchestrator.domain.series import PixelLocation


def stored_as(bits: int, *, signed: bool, allocated: int = 16, **changes) -> PixelLayout:
    description = {
        "location": PixelLocation("1.2.840.10008.1.2.1", "PixelData", 0, 0, 0),
        **{"frames": 1, "rows": 4, "columns": 4, "samples": 1, "photometric": "MONOCHROME2", "planar": 0},
        **{"bits_allocated": allocated, "bits_stored": bits, "high_bit": bits - 1, "signed": signed},
        **{"inverted": False, "padding": None},
    }
    return PixelLayout(**(description | changes))


def rescaled(values: np.ndarray, layout: PixelLayout, scale: Rescale) -> np.ndarray:
    out = np.empty(values.shape, common_dtype([(layout, scale)]))
    apply_rescale(values.copy(), layout, scale, out)
    return out


@st.composite
def images(draw):
    allocated = draw(st.sampled_from([8, 16, 32]))
    signed = draw(st.booleans())
    layout = stored_as(draw(st.integers(2, allocated)), signed=signed, allocated=allocated)
    low, high = (int(limit) for limit in layout.limits)
    values = draw(arrays.arrays(layout.dtype, (4, 4), elements=st.integers(low, high)))
    return layout, values


@settings(deadline=None)
@given(image=images(), slope=st.integers(-5, 5).filter(bool), intercept=st.integers(-70000, 70000))
def test_whole_numbers_are_exact_and_never_wrap(image, slope, intercept):
    layout, values = image
    found = rescaled(values, layout, Rescale(float(slope), float(intercept)))
    expected = values.astype(np.int64) * slope + intercept
    if found.dtype.kind == "f":  # beyond int32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@settings(deadline=None)
@given(image=images(), slope=st.floats(0.001, 50), intercept=st.floats(-5000, 5000))
def test_fractions_are_rounded_once(image, slope, intercept):
    layout, values = image
    found = rescaled(values, layout, Rescale(slope, intercept))
    expected = values.astype(np.float64) * slope + intercept
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(image=images(), intercept=st.integers(-5000, 5000))
def test_hounsfield_units_end_at_int16(image, intercept):
    layout, values = image
    found = rescaled(values, layout, Rescale(1.0, float(intercept), HOUNSFIELD))
    np.testing.assert_array_equal(found, np.clip(values.astype(np.int64) + intercept, -32768, 32767))


@settings(deadline=None)
@given(image=images())
def test_turning_round_twice_changes_nothing(image):
    layout, values = image
    assume(layout.signed or layout.bits_stored < 32)  # float32 takes what no int32 holds, and rounds it
    inverted = stored_as(layout.bits_stored, signed=layout.signed, allocated=layout.bits_allocated, inverted=True)
    once = rescaled(values, inverted, Rescale()).astype(layout.dtype)
    assert once.max() <= layout.limits[1]
    np.testing.assert_array_equal(rescaled(once, inverted, Rescale()), values)


def test_a_table_stands_for_values_and_its_ends_for_all_beyond():
    table = Rescale(table=Table(-2, (10, 20, 30)))
    found = rescaled(np.array([-300, -2, -1, 0, 300], np.int16), stored_as(16, signed=True), table)
    assert found.tolist() == [10, 10, 20, 30, 30]


@pytest.mark.parametrize(("unit", "expected"), [(HOUNSFIELD, -1024), ("1", -3024)])
def test_padding_becomes_air_in_a_ct_only(unit, expected):
    layout = stored_as(16, signed=True, padding=(-2000, -2000))
    found = rescaled(np.array([-2000, 0], np.int16), layout, Rescale(1.0, -1024.0, unit))
    assert found.tolist() == [expected, -1024]


def test_a_range_of_padding_is_heeded():
    layout = stored_as(16, signed=True, padding=(-2001, -1999))
    found = rescaled(np.array([-2002, -2001, -1999, -1998], np.int16), layout, Rescale(1.0, 0.0, HOUNSFIELD))
    assert found.tolist() == [-2002, -1024, -1024, -1998]
