"""What a model points at is compared in the patient, in whatever order rows, columns and slices are stored."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.models.contract.bench import GridAnswer
from orchestrator.app.models.contract.clause import Broken
from orchestrator.app.models.contract.places import check_places
from orchestrator.dicom import Grid
from orchestrator.domain.concepts import codes
from orchestrator.domain.result import Finding, ImageScore, Region, Result
from orchestrator.domain.volume import Affine, Volume

SHAPE = (20, 40, 60)
AXIAL = np.array([(0, 0, 0.8, -24.0), (0, 0.8, 0, -16.0), (2.5, 0, 0, -25.0), (0, 0, 0, 1)])
"""Slices towards the head, rows towards the back, columns towards the left."""
SIDES = [(20.0, 24.0, 5.0, 12.0), (3.0, 9.0, 40.0, 44.0)]
"""Top, bottom, left and right of two boxes."""
ALL_FLIPS = [(), (0, 1), (0, 2), (1, 2)]


def part(findings: Sequence[Finding], affine: Affine | None = AXIAL, shape: tuple[int, int, int] = SHAPE) -> GridAnswer:
    grid = Grid(shape, np.dtype(np.int16), affine, None, "1", "CT")
    return GridAnswer(grid, Volume(np.zeros(shape, np.int16), affine), Result(findings=findings))


def fracture(*regions: Region) -> Finding:
    return Finding(codes["fracture"], regions=regions)


def boxes(slices: Sequence[int] = (4, 15), *, mirrored: Sequence[int] = (), score: float | None = None) -> Finding:
    """Return the two boxes, their indices counted from the other end along these axes."""
    regions = []
    for index, (top, bottom, left, right) in zip(slices, SIDES, strict=True):
        rows, columns = _from_the_end((top, bottom), 1, mirrored), _from_the_end((left, right), 2, mirrored)
        (number, _) = _from_the_end((index, index), 0, mirrored)
        regions.append(Region.box(int(number), rows[0], columns[0], rows[1], columns[1], score=score))
    return fracture(*regions)


def _from_the_end(ends: tuple[float, float], axis: int, mirrored: Sequence[int]) -> tuple[float, float]:
    last = SHAPE[axis] - 1
    return (last - ends[1], last - ends[0]) if axis in mirrored else ends


def flipped(axes: Sequence[int]) -> Affine:
    """Return the affine of the same body, these axes stored the other way."""
    way = np.eye(4)
    for axis in axes:
        way[axis, axis], way[axis, 3] = -1, SHAPE[axis] - 1
    return AXIAL @ way


@pytest.mark.parametrize("axes", ALL_FLIPS)
def test_boxes_that_were_turned_with_the_voxels_lie_where_they_lay(axes: tuple[int, ...]) -> None:
    check_places(part([boxes()]), part([boxes(mirrored=axes)], flipped(axes)))


@pytest.mark.parametrize(
    ("axis", "way", "says"),
    [
        (0, "head-foot", "is at slice 4, rows 20 to 24, columns 5 to 12 and should be at slice 15, "),
        (1, "front-back", "is at slice 15, rows 3 to 9, columns 40 to 44 and should be at slice 15, rows 30 to 36, "),
        (2, "left-right", "columns 5 to 12 and should be at slice 4, rows 20 to 24, columns 47 to 54, it lies 34 mm "),
    ],
)
def test_boxes_that_stay_where_they_were_in_the_array_are_mirrored(axis: int, way: str, says: str) -> None:
    with pytest.raises(Broken, match=f"^a place of 'Fracture' .*: mirrored {way}$") as told:
        check_places(part([boxes()]), part([boxes()], flipped([axis])))
    assert says in str(told.value)


def test_the_direction_is_that_of_the_patient() -> None:
    with pytest.raises(Broken, match=r"slice 9, row 20, column 30 and should be at .* 8 mm towards the left$"):
        check_places(part([fracture(Region.point(9, 20, 20))]), part([fracture(Region.point(9, 20, 30))]))


@settings(deadline=None)  # the first distance imports scipy
@given(st.integers(0, 19), st.floats(0, 39), st.floats(0, 59), st.sampled_from(ALL_FLIPS))
def test_a_point_may_move_by_a_voxel_and_no_further(
    index: int, row: float, column: float, axes: tuple[int, ...]
) -> None:
    base = part([fracture(Region.point(index, row, column))])
    at = np.array(
        [SHAPE[axis] - 1 - place if axis in axes else place for axis, place in enumerate((index, row, column))]
    )
    near, far = (part([fracture(Region.point(int(at[0]), at[1], at[2] + by))], flipped(axes)) for by in (1, 2))
    check_places(base, near)
    with pytest.raises(Broken):
        check_places(base, far)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_box_that_is_missing_or_too_much_is_told_with_its_place(kept: int) -> None:
    both, one = part([boxes()]), part([fracture(boxes().regions[kept])])
    lost = re.escape(f"slice {(15, 4)[kept]}, rows ")
    with pytest.raises(Broken, match=f"a place of 'Fracture' is missing, at {lost}"):
        check_places(both, one)
    with pytest.raises(Broken, match=f"a place of 'Fracture' is found where none should be, at {lost}"):
        check_places(one, both)


def test_the_order_of_regions_and_of_findings_of_one_name_means_nothing() -> None:
    one, two = boxes().regions
    check_places(part([fracture(one, two)]), part([fracture(two), fracture(one)]))


def test_equal_outlines_may_have_other_corners() -> None:
    (box, _) = boxes().regions
    denser = np.concatenate(
        [np.linspace(a, b, 5, endpoint=False) for a, b in zip(box.points, np.roll(box.points, -1, 0), strict=True)]
    )
    check_places(part([fracture(box)]), part([fracture(Region(box.slice, denser[7:].tolist() + denser[:7].tolist()))]))


def test_a_box_of_another_size_about_the_same_middle_is_another_place() -> None:
    small, large = Region.box(5, 10, 10, 14, 14), Region.box(5, 6, 6, 18, 18)
    with pytest.raises(
        Broken, match=r"rows 6 to 18, columns 6 to 18 and should be at slice 5, rows 10 to 14, columns 10 to 14$"
    ):
        check_places(part([fracture(small)]), part([fracture(large)]))


def test_the_score_of_a_place_stays() -> None:
    with pytest.raises(Broken, match=r"^the score of a place of 'Fracture' at slice 4, .* is 0\.900, and 0\.800 here$"):
        check_places(part([boxes(score=0.9)]), part([boxes(score=0.8)]))


def images(*slices: int) -> Finding:
    return Finding(codes["fracture"], images=[ImageScore(index, 0.9) for index in slices])


def test_images_are_known_by_their_place_along_the_slices() -> None:
    check_places(part([images(3, 4, 5)]), part([images(14, 15, 16)], flipped([0, 2])))


def test_a_wrong_image_is_told_with_its_place() -> None:
    with pytest.raises(
        Broken, match=r"^an image of 'Fracture' is at slice 3 and should be at slice 16, it lies 32 mm "
    ):
        check_places(part([images(3)]), part([images(3)], flipped([0, 2])))


SAGITTAL = AXIAL[:, [2, 0, 1, 3]]
"""The same body cut along its columns: (column, slice, row) of the axial series."""
RECUT = (60, 20, 40)


def recut(*regions: Region) -> GridAnswer:
    return part([fracture(*regions)], SAGITTAL, RECUT)


def test_a_box_cut_across_lies_at_the_same_place() -> None:
    axial = part([fracture(Region.box(8, 10, 30, 20, 40))])
    check_places(axial, recut(Region.box(35, 6, 10, 10, 20)))
    with pytest.raises(
        Broken, match=r"at slice 24, .* and should be at slices 30 to 40, .* 9 mm towards the right: mirr"
    ):
        check_places(axial, recut(Region.box(24, 6, 10, 10, 20)))


def test_of_images_cut_across_only_that_there_are_some_is_asked() -> None:
    check_places(part([images(3, 4)]), part([images(50)], SAGITTAL, RECUT))
    with pytest.raises(Broken, match="an image of 'Fracture' is missing, at slice"):
        check_places(part([images(3, 4)]), part([], SAGITTAL, RECUT))


def test_a_patient_who_lies_otherwise_takes_the_places_along() -> None:
    motion = np.eye(4)
    motion[:3, :3] = [(0, -1, 0), (1, 0, 0), (0, 0, 1)]
    check_places(part([boxes()]), part([boxes()], motion @ AXIAL), motion)
    with pytest.raises(Broken):
        check_places(part([boxes()]), part([boxes()], motion @ AXIAL))


def test_pixels_of_twice_the_width_are_counted_as_such() -> None:
    wide = AXIAL @ np.diag([1.0, 1, 2, 1])
    (_, box) = boxes().regions
    half = Region.box(15, 3, 20, 9, 22)
    check_places(part([fracture(box)]), part([fracture(half)], wide, (20, 40, 30)))


def test_without_a_place_in_the_patient_the_index_counts() -> None:
    radiograph = part([boxes()], None)
    check_places(radiograph, part([boxes()], None))
    with pytest.raises(Broken, match=r"it lies [34]\d pixels off: mirrored left-right$"):
        check_places(radiograph, part([boxes(mirrored=[2])], None))
