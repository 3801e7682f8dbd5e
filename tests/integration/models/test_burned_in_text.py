"""The real detector on a real ultrasound, a real radiograph, and names drawn on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from orchestrator_burned_in_text import BurnedInText
from orchestrator_burned_in_text.model import picture_of
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from orchestrator.domain.result import Finding
from orchestrator.domain.volume import Volume
from orchestrator.sdk import Accepts, Geometry, Presence
from orchestrator.testing import read_series
from orchestrator.worker import Workers, weights_folder

pytestmark = [pytest.mark.xdist_group("burned-in-text"), pytest.mark.timeout(600)]

IMAGE = Accepts(geometry=Geometry.IMAGE)


@pytest.fixture(scope="module")
def model(workers: Workers, weights: Path) -> BurnedInText:
    folder = weights_folder(workers.catalogue_entry("burned-in-text"), weights)
    assert folder is not None
    loaded = BurnedInText()
    loaded.load(folder, "cpu")
    return loaded


@pytest.fixture(scope="module")
def chest(samples: Path) -> Volume:
    return read_series(sorted((samples / "cr-chest").glob("*.dcm")), IMAGE)


@pytest.fixture(scope="module")
def ultrasound(samples: Path) -> Volume:
    return read_series(sorted((samples / "us").glob("*.dcm")), IMAGE)


def found(model: BurnedInText, volume: Volume) -> Finding:
    (finding,) = model.predict(volume).findings
    return finding


def covered(finding: Finding, row: float, column: float) -> bool:
    corners = [np.asarray(region.points) for region in finding.regions]
    return any((points.min(0) <= (row, column)).all() and (points.max(0) >= (row, column)).all() for points in corners)


def test_text_on_an_ultrasound_goes_through_the_cage_and_comes_back_boxed(workers, ultrasound, tmp_path):
    voxels = workers.allocate(tmp_path, ultrasound.shape, ultrasound.voxels.dtype)
    voxels[:] = ultrasound.voxels
    result = workers.predict("burned-in-text", Volume(voxels, None, modality="US"), tmp_path).result
    (finding,) = result.findings
    assert finding.presence is Presence.PRESENT
    assert len(finding.regions) == pytest.approx(19, abs=2)
    assert all(covered(finding, *place) for place in [(31, 95), (367, 270), (465, 500)])  # name, node, indices


def test_anatomy_of_the_ultrasound_is_not_boxed(model, ultrasound):
    assert not covered(found(model, ultrasound), 200, 200)


def test_a_chest_radiograph_without_text_is_absent(model, chest):
    assert found(model, chest).presence is Presence.ABSENT


@pytest.mark.parametrize(("size", "place"), [(20, (60, 120)), (48, (60, 120)), (32, (700, 900))])
def test_a_name_drawn_on_the_radiograph_is_found(model, chest, size, place):
    picture = Image.fromarray((picture_of(chest.voxels[0]) * 255).astype(np.uint8))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(picture).text(place, "DOE^JANE 1960-04-02 ID 4711", fill=255, font=font)
    finding = found(model, Volume(np.asarray(picture)[np.newaxis], None, modality="CR"))
    assert finding.presence is Presence.PRESENT
    assert covered(finding, place[1] + size * 0.6, place[0] + size * 5)


def test_a_lead_letter_is_no_burned_in_text(model):
    leg = read_series([Path(get_testdata_file("RG3_UNCR.dcm"))], IMAGE)
    assert found(model, leg).presence is Presence.ABSENT


def test_a_cine_loop_is_judged_by_five_of_its_frames(model, ultrasound):
    loop = Volume(np.repeat(ultrasound.voxels, 60, axis=0), None, modality="US")
    result = model.predict(loop)
    assert result.notes["images looked at"] == "5 of 60"
    assert len(result.findings[0].regions) == pytest.approx(19, abs=2)


def test_text_on_one_image_of_a_series_is_found_wherever_it_is(model, ultrasound):
    images = np.zeros((12, *ultrasound.shape[1:]), np.uint8)
    images[7] = ultrasound.voxels[0]
    finding = found(model, Volume(images, None, modality="US"))
    assert {region.slice for region in finding.regions} == {7}
