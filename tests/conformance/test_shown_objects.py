"""Key images, key objects and presentation states pass the validators and show what the result says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, WriteOptions
from orchestrator.domain.concepts import codes
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Region, Result
from tests.data.projection import LESION, cr_image
from tests.data.series import ct_series
from tests.parts.dicom.kinds import with_every_object
from tests.parts.dicom.validators import assert_consistent, assert_same_patient, assert_valid
from tests.parts.dicom.written import Written, one_segment, write_result

Kinds = Callable[[str], Written]
SHOWN = (ObjectKind.SC, ObjectKind.KO, ObjectKind.PR)
every_kind = pytest.mark.parametrize(
    "kind",
    [
        *("CT axial", "CT oblique", "CT with missing slices", "CT anisotropic", "CT, Japanese name", "MR sagittal"),
        *("PET", "enhanced CT", "enhanced MR", "CR", "ultrasound loop", "secondary capture", "detections"),
        *("loop, frame by frame", "without a place", "negative"),
    ],
)
PRESENTATION = WriteOptions(objects=frozenset({ObjectKind.PR}))


@pytest.fixture(scope="session")
def everything_of(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    """Return a function that gives all objects of a kind."""

    @cache
    def write(kind: str) -> Written:
        return with_every_object(kind, tmp_path_factory.mktemp("shown"))

    return write


def shown(done: Written, *kinds: ObjectKind) -> list[Path]:
    return [record.path for record in done.objects if record.kind in (kinds or SHOWN)]


@every_kind
def test_validators_find_no_fault_in_what_is_shown(everything_of: Kinds, kind: str) -> None:
    done = everything_of(kind)
    for path in shown(done):
        assert_valid(path, done.sources[0])


@every_kind
def test_what_is_shown_belongs_to_the_study_of_its_source(everything_of: Kinds, kind: str) -> None:
    done = everything_of(kind)
    assert_consistent(done.sources, [record.path for record in done.objects])
    assert_same_patient(done.sources[0], shown(done))


@every_kind
def test_every_result_has_a_key_image_of_an_image_that_was_read(everything_of: Kinds, kind: str) -> None:
    done = everything_of(kind)
    images = [dcmread(path) for path in shown(done, ObjectKind.SC)]
    read = {(frame.sop_uid, frame.frame) for grid in done.grids for frame in grid.frames}
    assert images
    for image in images:
        (source,) = image.SourceImageSequence
        assert (source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")) in read
        assert image.pixel_array.shape == (image.Rows, image.Columns, 3)


@every_kind
def test_a_key_object_lists_source_images_only_and_names_no_item(everything_of: Kinds, kind: str) -> None:
    done = everything_of(kind)
    read = {frame.sop_uid for grid in done.grids for frame in grid.frames}
    for path in shown(done, ObjectKind.KO):
        note = dcmread(path)
        listed = [item for item in note.ContentSequence if item.ValueType in {"IMAGE", "COMPOSITE"}]
        assert note.ConceptNameCodeSequence[0].CodeValue == "113000"
        assert {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in listed} <= read
        assert not [item for item in listed if "ConceptNameCodeSequence" in item]


@every_kind
def test_outlines_of_a_presentation_state_are_on_images_that_it_names(everything_of: Kinds, kind: str) -> None:
    done = everything_of(kind)
    for path in shown(done, ObjectKind.PR):
        state = dcmread(path)
        named = {
            image.ReferencedSOPInstanceUID
            for series in state.ReferencedSeriesSequence
            for image in series.ReferencedImageSequence
        }
        drawn = {image.ReferencedSOPInstanceUID for image in _annotated(state)}
        assert drawn == named
        assert named <= {frame.sop_uid for grid in done.grids for frame in grid.frames}


@pytest.mark.parametrize("kind", ["ultrasound loop", "secondary capture"])
def test_images_in_colour_have_no_presentation_state(everything_of: Kinds, kind: str) -> None:
    assert not shown(everything_of(kind), ObjectKind.PR)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("windowed", [True, False])
def test_dcmtk_shows_a_radiograph_bright_where_it_is_dense(tmp_path: Path, photometric: str, windowed: bool) -> None:
    window = {} if windowed else {"WindowCenter": None, "WindowWidth": None}
    image = cr_image(tmp_path / "in", photometric=photometric, **window)
    done = write_result([image], _nodule, tmp_path, geometry=Geometry.IMAGE, options=PRESENTATION)
    (state,) = shown(done, ObjectKind.PR)
    picture = rendered(image, state, tmp_path)
    assert picture[LESION].mean() > 200
    assert picture[40:].mean() < 50


def test_dcmtk_shows_a_ct_through_the_window_of_its_image(tmp_path: Path) -> None:
    sources = ct_series(tmp_path / "in", slices=3, attributes={"WindowCenter": "100", "WindowWidth": "500"})
    done = write_result(sources, one_segment, tmp_path, options=PRESENTATION)
    image = dcmread(sources[1])
    picture = rendered(sources[1], shown(done, ObjectKind.PR)[0], tmp_path)
    hounsfield = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    expected = np.clip((hounsfield - 100 + 250) / 500 * 255, 0, 255)
    assert np.abs(picture.astype(float) - expected).max() < 3


def rendered(image: Path, state: Path, folder: Path) -> npt.NDArray[np.uint8]:
    """Return the grey values that DCMTK shows of an image through a presentation state."""
    target = folder / "shown.pgm"
    subprocess.run(["dcmp2pgm", "-p", str(state), str(image), str(target)], check=True, timeout=60)
    return np.asarray(Image.open(target))


def _nodule(_: Grid) -> Result:
    return Result(findings=[Finding(codes["nodule"], regions=[Region.point(0, 5, 6)])])


def _annotated(state: Dataset) -> Iterator[Dataset]:
    for annotation in state.GraphicAnnotationSequence:
        yield from annotation.get("ReferencedImageSequence", [])
