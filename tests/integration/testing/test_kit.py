"""The kit for plugin authors and the builders of the tests: valid DICOM, the same on every run, truth that is true."""

import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from orchestrator.domain.quiet import quiet
from orchestrator.testing import ORIENTATIONS, Lesion, Phantom, encode, synthetic_series
from tests.data.series import (
    cr_image,
    ct_series,
    enhanced_ct,
    enhanced_mr,
    mr_series,
    pet_series,
    secondary_capture,
    us_cine,
)

SMALL = {"slices": 2, "rows": 16, "columns": 16}
BUILT = {
    **{f"CT {name}": (ct_series, SMALL | {"orientation": name}) for name in ORIENTATIONS},
    **{
        f"CT {uid.name[:20]}": (ct_series, SMALL | {"transfer_syntax": uid})
        for uid in (ExplicitVRBigEndian, RLELossless)
    },
    "CT JPEG-LS": (ct_series, SMALL | {"transfer_syntax": JPEGLSLossless}),
    "CT JPEG 2000": (ct_series, SMALL | {"transfer_syntax": JPEG2000Lossless}),
    "CT JPEG lossless": (ct_series, SMALL | {"transfer_syntax": JPEGLosslessSV1}),
    "MR": (mr_series, SMALL),
    "PET": (pet_series, SMALL),
    "Enhanced CT": (enhanced_ct, SMALL),
    "Enhanced MR": (enhanced_mr, SMALL | {"time_points": 2}),
    "CR": (cr_image, {}),
    "US": (us_cine, {}),
    "SC": (secondary_capture, {}),
}


@pytest.mark.parametrize(("build", "parameters"), BUILT.values(), ids=BUILT.keys())
def test_what_the_builders_write_has_no_error_in_dciodvfy(build, parameters, tmp_path):
    built = build(tmp_path, **parameters)
    path = built[0] if isinstance(built, list) else built
    program = shutil.which("dciodvfy", path=Path(sys.executable).parent)
    told = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")] == []


def test_the_same_phantom_is_written_with_the_same_bytes(tmp_path):
    first, second = (ct_series(tmp_path / name, **SMALL) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_another_seed_is_another_study(tmp_path):
    assert Phantom(seed="one").uid("study") != Phantom(seed="two").uid("study")


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "feet-first", "prone"])
def test_the_lesion_is_on_the_patients_left(orientation):
    assert Phantom(orientation=orientation).centroid[0] > 0


def test_a_lesion_lies_where_it_was_asked_for():
    lesion = Lesion(centre_mm=(-6.0, 4.0, 3.0), radii_mm=(5.0, 5.0, 5.0))
    phantom = Phantom(lesion=lesion, spacing=(1.0, 0.5, 0.5), centre=(10.0, 20.0, 30.0))
    np.testing.assert_allclose(phantom.centroid, [4.0, 24.0, 33.0], atol=0.05)


def test_a_plugin_author_gets_volume_and_truth_in_two_lines(tmp_path):
    series = synthetic_series(tmp_path, orientation="oblique")
    volume = series.read()
    np.testing.assert_array_equal(volume.voxels == 400, series.phantom.mask)


def test_values_that_do_not_fit_are_an_error_of_the_author():
    with pytest.raises(ValueError, match="exceed 16 bits"):
        Phantom(values=(0.0, 40.0, 70000.0)).datasets()


def test_an_encoding_that_the_kit_lacks_is_named():
    with pytest.raises(ValueError, match="cannot write JPEG 2000"):
        encode(Phantom().datasets()[0], JPEG2000Lossless)


def test_warnings_are_quiet_in_all_threads_and_come_back_afterwards():
    def warn(_):
        with quiet():
            warnings.warn("a value of the header", UserWarning, stacklevel=1)

    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(warn, range(200)))
    assert list(warnings.filters) == before


def test_series_are_read_side_by_side(tmp_path):
    every = [synthetic_series(tmp_path / str(number), seed=str(number), **SMALL) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        volumes = list(pool.map(lambda series: series.read(), every))
    for series, volume in zip(every, volumes, strict=True):
        np.testing.assert_array_equal(volume.voxels, series.phantom.voxels)
