"""Images without a place in the patient: radiographs, ultrasound, captures; one by one, brighter = more."""

import numpy as np
import pytest

from orchestrator.dicom import fill, gather, plan, read_instance
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.testing import read_series
from tests.data.projection import LESION
from tests.data.series import cr_image, ct_series, secondary_capture, us_cine

PICTURES = Accepts(geometry=Geometry.IMAGE)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_more_is_brighter_whatever_the_photometric_interpretation(photometric, tmp_path):
    voxels = read_series([cr_image(tmp_path, photometric=photometric)], PICTURES).voxels[0]
    assert (voxels[LESION] == 3000).all()
    assert voxels[0, 0] == 400


def test_monochrome1_never_turns_hounsfield_units_round(tmp_path):
    paths = ct_series(tmp_path, slices=2, attributes={"PhotometricInterpretation": "MONOCHROME1"})
    assert read_series(paths).voxels.min() == -1000


def test_a_radiograph_has_no_place_in_the_patient(tmp_path):
    volume = read_series([cr_image(tmp_path)], PICTURES)
    assert (volume.affine, volume.positions, volume.unit, volume.shape) == (None, None, "1", (1, 96, 80))


def test_a_radiograph_is_no_volume(tmp_path):
    with pytest.raises(UnsupportedInput) as refusal:
        read_series([cr_image(tmp_path)], Accepts())
    assert refusal.value.fault is InputFault.NO_GEOMETRY


def test_images_of_two_sizes_are_two_grids(tmp_path):
    paths = [cr_image(tmp_path, number=number, rows=rows) for number, rows in ((1, 96), (2, 64), (3, 96))]
    grids = plan(gather([read_instance(path) for path in paths]), PICTURES)
    assert [grid.shape for grid in grids] == [(2, 96, 80), (1, 64, 80)]


def test_images_come_in_the_order_of_their_numbers(tmp_path):
    paths = [cr_image(tmp_path, number=number) for number in (10, 2, 1)]
    (grid,) = plan(gather([read_instance(path) for path in paths]), PICTURES)
    assert [frame.path.name for frame in grid.frames] == ["IM0001.dcm", "IM0002.dcm", "IM0010.dcm"]


def test_colour_comes_as_luminance_unless_asked_for(tmp_path):
    grey = read_series([us_cine(tmp_path)], PICTURES).voxels
    assert (grey.shape, grey.dtype) == ((5, 48, 64), np.uint8)
    assert (grey[2][LESION].min(), grey[2, 0, 0]) == (255, 18)  # 0.299 x 60


def test_colour_comes_as_rgb_where_the_model_asks_for_it(tmp_path):
    colour = read_series([us_cine(tmp_path)], Accepts(geometry=Geometry.IMAGE, colour=True)).voxels
    assert colour.shape == (5, 48, 64, 3)
    assert colour[2, 0, 0].tolist() == [60, 0, 0]


def test_frames_of_a_loop_are_numbered(tmp_path):
    (grid,) = plan(gather([read_instance(us_cine(tmp_path, frames=3))]), PICTURES)
    assert [frame.frame for frame in grid.frames] == [1, 2, 3]


def test_grey_and_colour_images_are_two_grids_for_a_model_that_takes_colour(tmp_path):
    capture = secondary_capture(tmp_path / "sc", rows=96, columns=80)
    same = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4"}
    grey = cr_image(tmp_path / "cr", **same)
    capture = secondary_capture(tmp_path / "sc", rows=96, columns=80, **same)
    series = gather([read_instance(path) for path in (grey, capture)])
    assert sorted(grid.shape for grid in plan(series, Accepts(geometry=Geometry.IMAGE, colour=True))) == [
        (1, 96, 80),
        (1, 96, 80, 3),
    ]


def test_grey_and_colour_images_of_one_size_share_a_grid_as_luminance(tmp_path):
    same = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4"}
    paths = [cr_image(tmp_path / "cr", **same), secondary_capture(tmp_path / "sc", rows=96, columns=80, **same)]
    (grid,) = plan(gather([read_instance(path) for path in paths]), PICTURES)
    voxels = fill(grid, np.empty(grid.shape, grid.dtype)).voxels
    assert {int(image[LESION].max()) for image in voxels} == {3000, 217}


def test_an_encoding_that_nobody_decodes_is_named(tmp_path):
    path = us_cine(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1))
    with pytest.raises(UnsupportedInput) as refusal:
        read_series([path], PICTURES)
    assert refusal.value.fault is InputFault.UNSUPPORTED_ENCODING
