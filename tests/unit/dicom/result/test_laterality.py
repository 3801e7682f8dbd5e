"""Left and right agree with the patient, however the patient lies, or the result is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from orchestrator.dicom import Grid
from orchestrator.domain.code import Code
from orchestrator.domain.concepts import BILATERAL, LEFT, RIGHT, codes
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.model import Geometry
from orchestrator.domain.result import Finding, ImageScore, Region, Result, Segment
from orchestrator.testing import ORIENTATIONS, Phantom
from tests.data.projection import cr_image
from tests.data.series import ct_series
from tests.parts.dicom.written import write_result

WIDE = {"slices": 24, "rows": 24, "columns": 24, "spacing": (10.0, 10.0, 10.0)}
"""24 cm and more across, so that the phantom's lesion is 2 cm to the patient's left."""
orientations = pytest.mark.parametrize("orientation", ORIENTATIONS)


@pytest.fixture(scope="module")
def series_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sequence[Path]]:
    """Return a function: orientation -> the files of the wide series in it, written once."""

    @cache
    def written(orientation: str) -> Sequence[Path]:
        return ct_series(tmp_path_factory.mktemp("series"), orientation=orientation, **WIDE)

    return written


def lesion(laterality: Code, orientation: str) -> Callable[[Grid], Result]:
    mask = Phantom(orientation=orientation, **WIDE).mask
    return lambda _: Result(segments=[Segment("Lesion", mask, codes["lesion"], laterality=laterality)])


def spot(laterality: Code, orientation: str) -> Callable[[Grid], Result]:
    slice_, row, column = np.argwhere(Phantom(orientation=orientation, **WIDE).mask).mean(axis=0)
    place = Region.point(round(slice_), row, column)
    return lambda _: Result(findings=[Finding(codes["nodule"], laterality=laterality, regions=[place])])


@orientations
@pytest.mark.parametrize("result", [lesion, spot])
def test_the_side_on_which_it_lies_is_written(
    tmp_path: Path, series_of: Callable[[str], Sequence[Path]], orientation: str, result: Callable[..., object]
) -> None:
    assert write_result(series_of(orientation), result(LEFT, orientation), tmp_path).objects


@orientations
@pytest.mark.parametrize("result", [lesion, spot])
def test_the_other_side_is_refused(
    tmp_path: Path, series_of: Callable[[str], Sequence[Path]], orientation: str, result: Callable[..., object]
) -> None:
    with pytest.raises(InvalidResult, match=r"has laterality right, but lies .* mm to the patient's left"):
        write_result(series_of(orientation), result(RIGHT, orientation), tmp_path)


def test_both_sides_contradict_nothing(tmp_path: Path) -> None:
    assert write_result(ct_series(tmp_path / "in", **WIDE), lesion(BILATERAL, "axial"), tmp_path).objects


@pytest.mark.parametrize("shift_mm", [-200.0, 0.0])
def test_twins_that_changed_places_are_noticed_wherever_the_patient_lies(tmp_path: Path, shift_mm: float) -> None:
    def twins(grid: Grid) -> Result:
        masks = np.zeros((2, *grid.shape), bool)
        masks[0, :, 8:16, 2:8] = masks[1, :, 8:16, 16:22] = True
        sides = zip(("right", "left"), masks, (LEFT, RIGHT), strict=True)
        return Result(segments=[Segment(name, mask, codes["kidney"], laterality=side) for name, mask, side in sides])

    images = ct_series(tmp_path / "in", centre=(shift_mm, 0.0, 0.0), **WIDE)
    with pytest.raises(InvalidResult, match=r"are swapped|has laterality"):
        write_result(images, twins, tmp_path)


@pytest.mark.parametrize(("marked", "said"), [("L", RIGHT), ("R", LEFT)])
@pytest.mark.parametrize("keyword", ["ImageLaterality", "Laterality"])
def test_an_image_that_is_marked_with_its_side_is_believed(
    tmp_path: Path, keyword: str, marked: str, said: Code
) -> None:
    def finding(_: Grid) -> Result:
        return Result(findings=[Finding(codes["mass"], laterality=said, regions=[Region.point(0, 3, 3)])])

    image = cr_image(tmp_path / "in", **{keyword: marked, "BodyPartExamined": "BREAST"})
    with pytest.raises(InvalidResult, match=f"Image Laterality is {marked}"):
        write_result([image], finding, tmp_path, geometry=Geometry.IMAGE)


@pytest.mark.parametrize("marked", ["L", "", "B"])
def test_a_side_that_the_image_shares_or_does_not_tell_passes(tmp_path: Path, marked: str) -> None:
    image = cr_image(tmp_path / "in", ImageLaterality=marked)
    finding = Finding(codes["mass"], laterality=LEFT)
    assert write_result([image], lambda _: Result(findings=[finding]), tmp_path, geometry=Geometry.IMAGE).objects


def test_a_finding_about_images_of_both_sides_is_checked_by_its_place_only(tmp_path: Path) -> None:
    images = [cr_image(tmp_path / "in", number=number, ImageLaterality=side) for number, side in ((1, "L"), (2, "R"))]

    def right(regions: Sequence[Region]) -> Callable[[Grid], Result]:
        return lambda _: Result(findings=[Finding(codes["mass"], laterality=RIGHT, regions=regions)])

    assert write_result(images, right([]), tmp_path, geometry=Geometry.IMAGE).objects
    assert write_result(images, right([Region.point(1, 3, 3)]), tmp_path, geometry=Geometry.IMAGE).objects
    with pytest.raises(InvalidResult, match="Image Laterality is L"):
        write_result(images, right([Region.point(0, 3, 3)]), tmp_path, geometry=Geometry.IMAGE)


def test_whole_images_have_the_side_that_they_are_marked_with(tmp_path: Path) -> None:
    images = [cr_image(tmp_path / "in", number=number, ImageLaterality=side) for number, side in ((1, "L"), (2, "R"))]

    def right(index: int) -> Callable[[Grid], Result]:
        finding = Finding(codes["mass"], laterality=RIGHT, images=[ImageScore(index, 0.5)])
        return lambda _: Result(findings=[finding])

    assert write_result(images, right(1), tmp_path, geometry=Geometry.IMAGE).objects
    with pytest.raises(InvalidResult, match="Image Laterality is L"):
        write_result(images, right(0), tmp_path, geometry=Geometry.IMAGE)


LEFT_EDGE, RIGHT_EDGE, MIDDLE = (20, 8), (20, 55), (20, 30)
"""Row and column of places on a radiograph of 48 x 64."""


def at(place: tuple[int, int], laterality: Code) -> Callable[[Grid], Result]:
    region = Region.point(0, *place)
    return lambda _: Result(findings=[Finding(codes["mass"], laterality=laterality, regions=[region])])


def box_at(place: tuple[int, int], laterality: Code) -> Callable[[Grid], Result]:
    def result(grid: Grid) -> Result:
        mask = np.zeros(grid.shape[:3], bool)
        mask[0, place[0] - 3 : place[0] + 3, place[1] - 3 : place[1] + 3] = True
        return Result(segments=[Segment("Mass", mask, codes["mass"], laterality=laterality)])

    return result


@pytest.mark.parametrize("result", [at, box_at])
@pytest.mark.parametrize(
    ("orientation", "place", "is_of"),
    [
        (["L", "F"], RIGHT_EDGE, LEFT),
        (["L", "F"], LEFT_EDGE, RIGHT),
        (["R", "F"], RIGHT_EDGE, RIGHT),
        (["F", "R"], (4, 30), LEFT),  # the patient lies on the side of the detector
        (["LF", "FR"], RIGHT_EDGE, LEFT),
    ],
)
def test_the_side_of_a_radiograph_is_that_of_its_patient_orientation(
    tmp_path: Path,
    orientation: list[str],
    place: tuple[int, int],
    is_of: Code,
    result: Callable[[tuple[int, int], Code], Callable[[Grid], Result]],
) -> None:
    image = cr_image(tmp_path / "in", rows=48, columns=64, PatientOrientation=orientation)
    other = RIGHT if is_of is LEFT else LEFT
    assert write_result([image], result(place, is_of), tmp_path, geometry=Geometry.IMAGE).objects
    with pytest.raises(InvalidResult, match=f"on the patient's {'left' if is_of is LEFT else 'right'} .Patient Orient"):
        write_result([image], result(place, other), tmp_path, geometry=Geometry.IMAGE)


@pytest.mark.parametrize(
    ("place", "attributes"),
    [
        (MIDDLE, {}),
        (RIGHT_EDGE, {"PatientOrientation": ["P", "F"]}),  # a lateral view
        (RIGHT_EDGE, {"PatientOrientation": ""}),
        (RIGHT_EDGE, {"BodyPartExamined": "KNEE"}),
        (RIGHT_EDGE, {"BodyPartExamined": "KNEE", "ImageLaterality": "R"}),
    ],
)
def test_a_radiograph_that_does_not_tell_the_side_of_a_place_contradicts_nothing(
    tmp_path: Path, place: tuple[int, int], attributes: dict[str, object]
) -> None:
    image = cr_image(tmp_path / "in", rows=48, columns=64, **attributes)
    assert write_result([image], at(place, RIGHT), tmp_path, geometry=Geometry.IMAGE).objects


def test_an_image_of_both_knees_has_its_middle_between_them(tmp_path: Path) -> None:
    both = {"BodyPartExamined": "KNEE", "ImageLaterality": "B"}
    image = cr_image(tmp_path / "in", rows=48, columns=64, **both)
    with pytest.raises(InvalidResult, match="on the patient's left"):
        write_result([image], at(RIGHT_EDGE, RIGHT), tmp_path, geometry=Geometry.IMAGE)


def test_twins_that_changed_places_on_a_radiograph_are_noticed_near_its_middle(tmp_path: Path) -> None:
    def twins(grid: Grid) -> Result:
        masks = np.zeros((2, *grid.shape[:3]), bool)
        masks[0, 0, 8:16, 33:36] = masks[1, 0, 8:16, 28:31] = True  # right kidney on the left, by a few pixels
        sides = zip(("right", "left"), masks, (RIGHT, LEFT), strict=True)
        return Result(segments=[Segment(name, mask, codes["kidney"], laterality=side) for name, mask, side in sides])

    image = cr_image(tmp_path / "in", rows=48, columns=64, BodyPartExamined="ABDOMEN")
    with pytest.raises(InvalidResult, match="are swapped"):
        write_result([image], twins, tmp_path, geometry=Geometry.IMAGE)
