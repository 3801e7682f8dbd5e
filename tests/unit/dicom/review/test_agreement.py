"""Dice between the model's segments and edited ones, whatever the source and the encoding."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from orchestrator.dicom import WriteOptions
from orchestrator.dicom.read.grid import Grid
from orchestrator.dicom.review.agreement import agreement
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import NotComparable
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Result, Segment
from tests.data.series import ct_series
from tests.parts.dicom.kinds import KINDS
from tests.parts.dicom.written import Written, everything, write_result

Box = tuple[int, int, int, int]
MIDDLE: Box = (1, 5, 4, 12)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    return write_result(ct_series(folder / "in", slices=6, rows=16, columns=16), everything, folder / "out")


@pytest.mark.parametrize("kind", ["CT oblique", "CT reversed", "enhanced CT", "CR", "ultrasound loop"])
def test_a_segmentation_agrees_with_itself_on_every_source(kind: str, tmp_path: Path) -> None:
    seg = KINDS[kind](tmp_path).read(ObjectKind.SEG)
    assert agreement(seg, copy.deepcopy(seg)) == {"Liver": 1.0, "Lesion": 1.0}


def test_a_label_map_is_compared_with_a_binary_one(tmp_path: Path) -> None:
    """By its label and type: another result has other tracking UIDs."""
    sources = ct_series(tmp_path / "in", slices=6, rows=16, columns=16)
    segs = [
        write_result(sources, one_box, tmp_path / name, options=options).read(ObjectKind.SEG)
        for name, options in (("binary", WriteOptions()), ("labels", WriteOptions(label_map=True)))
    ]
    assert agreement(*segs) == agreement(*reversed(segs)) == {"Liver": 1.0}


def one_box(grid: Grid, box: Box = MIDDLE) -> Result:
    """Return a liver that fills these slices, and these rows and columns of them."""
    mask = np.zeros(grid.shape[:3], bool)
    mask[box[0] : box[1], box[2] : box[3], box[2] : box[3]] = True
    return Result(segments=[Segment("Liver", mask, codes["liver"])])


@given(st.integers(0, 4), st.integers(1, 6), st.integers(0, 14), st.integers(1, 16))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dice_is_that_of_the_masks(written: Written, first: int, last: int, left: int, right: int) -> None:
    box = (first, max(last, first + 1), left, max(right, left + 1))
    folder = written.paths[0].parent / "-".join(map(str, box))
    here, there = (write_result(written.sources, lambda grid, at=at: one_box(grid, at), folder) for at in (MIDDLE, box))
    mine, theirs = (each.results[0].segments[0].mask for each in (here, there))
    expected = 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum())
    assert agreement(here.read(ObjectKind.SEG), there.read(ObjectKind.SEG)) == {"Liver": pytest.approx(expected)}


def another_size(seg: Dataset) -> None:
    seg.Rows = seg.Rows // 2


def another_image(seg: Dataset) -> None:
    source = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = "1.2.3"


def no_image(seg: Dataset) -> None:
    del seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence


def another_place(seg: Dataset) -> None:
    place = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient = [value + 3 for value in place.ImagePositionPatient]


def other_names(seg: Dataset) -> None:
    for number, segment in enumerate(seg.SegmentSequence):
        segment.SegmentLabel, segment.TrackingUID = f"Other {number}", f"1.2.3.{number}"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = f"{number}"


def fractions(seg: Dataset) -> None:
    seg.SegmentationType = "FRACTIONAL"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (another_size, "8 x 16 pixels"),
        (another_image, "1 source image is not among the model's"),
        (no_image, "names 0 source images"),
        (another_place, "ImagePositionPatient of frame"),
        (other_names, "no segment has"),
        (fractions, "fractional"),
    ],
)
def test_what_does_not_lie_on_the_same_grid_is_not_compared(written: Written, change, why: str) -> None:
    edited = written.read(ObjectKind.SEG)
    change(edited)
    with pytest.raises(NotComparable, match=why):
        agreement(written.read(ObjectKind.SEG), edited)


def test_a_segment_that_was_renamed_is_known_by_its_tracking_uid(written: Written) -> None:
    edited = written.read(ObjectKind.SEG)
    edited.SegmentSequence[0].SegmentLabel = "My liver"
    assert agreement(written.read(ObjectKind.SEG), edited)["Liver"] == 1.0
