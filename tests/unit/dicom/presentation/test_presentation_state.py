"""A presentation state draws what SEG and SR say, on the images that it names, in their true shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, WriteOptions
from orchestrator.dicom.objects.outline import outlines
from orchestrator.dicom.presentation import drawing
from orchestrator.domain.concepts import codes
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Region, Result, Segment
from tests.data.enhanced import enhanced_ct
from tests.data.projection import cr_image
from tests.data.series import ct_series, pet_series
from tests.parts.dicom.written import Written, everything, nothing, one_segment, write_result

OPTIONS = WriteOptions(objects=frozenset({ObjectKind.SEG, ObjectKind.SR, ObjectKind.PR}))


def states_of(done: Written) -> list[Dataset]:
    return [dcmread(record.path) for record in done.objects if record.kind is ObjectKind.PR]


def states(
    sources: Sequence[Path],
    folder: Path,
    result_of: Callable[[Grid], Result] = one_segment,
    geometry: Geometry = Geometry.VOLUME,
) -> list[Dataset]:
    return states_of(write_result(sources, result_of, folder, geometry=geometry, options=OPTIONS))


def on(state: Dataset, sop_uid: str) -> Iterator[Dataset]:
    """Yield what is drawn on one image alone."""
    for annotation in state.GraphicAnnotationSequence:
        if [each.ReferencedSOPInstanceUID for each in annotation.get("ReferencedImageSequence", [])] == [sop_uid]:
            yield annotation


def test_a_segment_is_outlined_on_each_of_its_slices(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, one_segment, tmp_path, options=OPTIONS)
    (state,) = states_of(done)
    for frame, plane in zip(done.grids[0].frames, done.results[0].segments[0].mask, strict=True):
        assert len(list(on(state, frame.sop_uid))) == bool(plane.any())


def test_an_outline_runs_along_the_edges_of_the_mask(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, one_segment, tmp_path, options=OPTIONS)
    place = int(done.results[0].segments[0].mask.any(axis=(1, 2)).argmax())
    (annotation,) = on(states_of(done)[0], done.grids[0].frames[place].sop_uid)
    columns, rows = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2).T
    inside = np.argwhere(done.results[0].segments[0].mask[place])
    assert (rows.min(), columns.min()) == tuple(inside.min(axis=0))
    assert (rows.max(), columns.max()) == tuple(inside.max(axis=0) + 1)
    assert (rows[0], columns[0]) == (rows[-1], columns[-1])


def test_outlines_carry_the_tracking_uid_of_the_segment(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, one_segment, tmp_path, options=OPTIONS)
    (segment,) = done.read(ObjectKind.SEG).SegmentSequence
    tracked = {
        graphic.TrackingUID
        for annotation in states_of(done)[0].GraphicAnnotationSequence
        for graphic in annotation.get("GraphicObjectSequence", [])
    }
    assert tracked == {segment.TrackingUID}


def test_every_piece_of_a_mask_is_outlined() -> None:
    plane = np.zeros((20, 20), bool)
    plane[2:5, 2:5], plane[10:18, 10:18], plane[12:14, 12:14] = True, True, False
    large, small = outlines(plane)
    assert np.array_equal(large.min(axis=0), (9.5, 9.5))
    assert np.array_equal(small.max(axis=0), (4.5, 4.5))


def test_points_and_boxes_have_their_words_and_their_colour(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, everything, tmp_path, options=OPTIONS)
    (state,) = states_of(done)
    annotation = list(on(state, done.grids[0].frames[-1].sop_uid))[-1]
    (point,) = annotation.GraphicObjectSequence
    layers = {layer.GraphicLayer: layer.GraphicLayerDescription for layer in state.GraphicLayerSequence}
    assert (point.GraphicType, list(point.GraphicData)) == ("POINT", [6.5, 5.5])
    assert layers[annotation.GraphicLayer] == annotation.TextObjectSequence[0].UnformattedTextValue == "Nodule"


def test_every_image_says_that_nobody_has_verified_it(ct: list[Path], tmp_path: Path) -> None:
    (state,) = states(ct, tmp_path)
    banner = state.GraphicAnnotationSequence[-1]
    assert "ReferencedImageSequence" not in banner
    assert banner.TextObjectSequence[0].UnformattedTextValue == "AI - not verified: lesion-finder 1.2"


def test_nothing_to_draw_makes_no_presentation_state(ct: list[Path], tmp_path: Path) -> None:
    assert states(ct, tmp_path, nothing) == []


def test_anisotropic_pixels_keep_their_shape(tmp_path: Path) -> None:
    images = ct_series(tmp_path / "in", slices=3, spacing=(3.0, 2.0, 0.5))
    (area,) = states(images, tmp_path)[0].DisplayedAreaSelectionSequence
    assert list(map(float, area.PresentationPixelSpacing)) == [2.0, 0.5]


def test_a_radiograph_has_the_shape_of_its_detector(tmp_path: Path) -> None:
    source = cr_image(tmp_path / "in", ImagerPixelSpacing=["0.2", "0.1"])
    (state,) = states([source], tmp_path, nodule, Geometry.IMAGE)
    assert list(state.DisplayedAreaSelectionSequence[0].PresentationPixelAspectRatio) == [2, 1]


def test_images_that_are_rescaled_differently_are_shown_one_by_one(tmp_path: Path) -> None:
    found = states(pet_series(tmp_path / "in"), tmp_path)
    assert len(found) > 1
    assert len({str(state.RescaleSlope) for state in found}) == len(found)
    assert [state.InstanceNumber for state in found] == list(range(1, len(found) + 1))


def test_frames_of_an_enhanced_object_are_named(tmp_path: Path) -> None:
    done = write_result([enhanced_ct(tmp_path / "in")], one_segment, tmp_path, options=OPTIONS)
    (state,) = states_of(done)
    (image,) = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    places = np.flatnonzero(done.results[0].segments[0].mask.any(axis=(1, 2)))
    shown = {done.grids[0].frames[place].frame for place in places}
    assert set(image.ReferencedFrameNumber) == shown


def test_too_many_outlines_become_the_largest_of_each_segment(
    ct: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "MOST_PLANES", 2)
    (state,) = states(ct, tmp_path)
    assert len(state.GraphicAnnotationSequence) == len(["the largest cross-section", "the banner"])


def test_a_mask_at_the_border_is_drawn_within_the_image(ct: list[Path], tmp_path: Path) -> None:
    def whole(grid: Grid) -> Result:
        return Result([Segment("All", np.ones(grid.shape, bool), codes["liver"])])

    done = write_result(ct, whole, tmp_path, options=OPTIONS)
    _, rows, columns = done.grids[0].shape
    graphic = states_of(done)[0].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    assert sorted(set(graphic.GraphicData)) == sorted({0.0, float(rows), float(columns)})


def nodule(_: Grid) -> Result:
    return Result(findings=[Finding(codes["nodule"], regions=[Region.point(0, 5, 6)])])
