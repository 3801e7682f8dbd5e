"""A key image shows the slice that says most, and says itself that nobody has verified it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, Overlay, WriteOptions, read_instance
from orchestrator.dicom.read.kinds import machine_written
from orchestrator.domain.concepts import codes
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Region, Result, Segment, Urgency
from tests.data.enhanced import enhanced_ct
from tests.data.projection import cr_image, us_cine
from tests.data.series import ct_series
from tests.parts.dicom.written import MODEL, Written, box, everything, nothing, one_segment, write_result

OPTIONS = WriteOptions(objects=frozenset({ObjectKind.SC}))
BANNER = (255, 196, 60)


def images_of(done: Written) -> list[Dataset]:
    return [dcmread(record.path) for record in done.objects if record.kind is ObjectKind.SC]


def key_images(
    sources: Sequence[Path],
    folder: Path,
    result_of: Callable[[Grid], Result] = one_segment,
    geometry: Geometry = Geometry.VOLUME,
) -> list[Dataset]:
    return images_of(write_result(sources, result_of, folder, geometry=geometry, options=OPTIONS))


def sources_of(images: Sequence[Dataset]) -> list[str]:
    return [image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in images]


def banner_rows(image: Dataset) -> npt.NDArray[np.intp]:
    """Return the rows with letters in the colour of the banner."""
    return np.flatnonzero((image.pixel_array == BANNER).all(axis=-1).any(axis=1))


def nodules(grid: Grid) -> Result:
    """Three findings on three slices, the most urgent one with the lowest score."""
    return Result(
        [Segment("Liver", box(grid), codes["liver"])],
        [
            Finding(codes["nodule"], score=0.9, regions=[Region.point(1, 4, 4, score=0.9), Region.point(0, 4, 4)]),
            Finding(codes["neoplasm"], score=0.4, regions=[Region.point(5, 4, 4)], urgency=Urgency.IMMEDIATE),
            Finding(codes["fracture"], score=0.95, regions=[Region.point(3, 4, 4)]),
        ],
    )


def test_each_finding_has_its_telling_slice_the_most_urgent_first(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, nodules, tmp_path, options=OPTIONS)
    frames = done.grids[0].frames
    assert sources_of(images_of(done)) == [frames[place].sop_uid for place in (5, 3, 1)]
    assert [image.InstanceNumber for image in images_of(done)] == [1, 2, 3]


def test_without_findings_the_largest_cross_sections_are_shown(ct: list[Path], tmp_path: Path) -> None:
    def two(grid: Grid) -> Result:
        small, large = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
        small[6, 2:4, 2:4], large[1:5, 2:9, 2:9], large[2, 2:12, 2:12] = True, True, True
        return Result([Segment("Small", small, codes["lesion"]), Segment("Large", large, codes["liver"])])

    done = write_result(ct, two, tmp_path, options=OPTIONS)
    assert sources_of(images_of(done)) == [done.grids[0].frames[place].sop_uid for place in (2, 6)]


def test_an_urgent_finding_says_so(ct: list[Path], tmp_path: Path) -> None:
    def found(urgency: Urgency | None) -> Callable[[Grid], Result]:
        finding = Finding(codes["nodule"], regions=[Region.point(1, 4, 4)], urgency=urgency)
        return lambda _: Result(findings=[finding])

    calm, urgent = (key_images(ct, tmp_path, found(urgency))[0] for urgency in (None, Urgency.IMMEDIATE))
    assert urgent.Rows - calm.Rows >= 15  # one more line of words


def test_a_hundred_segments_make_a_handful_of_images(ct: list[Path], tmp_path: Path) -> None:
    def many(grid: Grid) -> Result:
        masks = np.zeros((20, *grid.shape), bool)
        masks[np.arange(20), np.arange(20) % grid.shape[0], 5, 5] = True
        return Result([Segment(f"Part {number}", mask, codes["lesion"]) for number, mask in enumerate(masks)])

    assert len(key_images(ct, tmp_path, many)) == 8


def test_a_negative_result_has_the_middle_image(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, nothing, tmp_path, options=OPTIONS)
    assert sources_of(images_of(done)) == [done.grids[0].frames[4].sop_uid]


@pytest.mark.parametrize(
    ("rows", "columns", "spacing"),
    [(16, 16, (3.0, 1.0, 1.0)), (64, 512, (3.0, 0.5, 0.5)), (200, 12, (3.0, 1.0, 1.0)), (32, 32, (3.0, 4.0, 0.25))],
    ids=["tiny", "wide", "a strip", "anisotropic"],
)
def test_the_banner_can_be_read_at_any_matrix_size(
    tmp_path: Path, rows: int, columns: int, spacing: tuple[float, float, float]
) -> None:
    images = ct_series(tmp_path / "in", slices=3, rows=rows, columns=columns, spacing=spacing)
    (image,) = key_images(images, tmp_path)
    written = banner_rows(image)
    assert image.Columns >= 512
    assert len(written) >= 9  # rows of pixels that the letters are high
    assert written[-1] < 60


def test_the_words_hide_nothing_of_the_image(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, nothing, tmp_path, options=OPTIONS)
    overlay = Overlay.open(ct, [done.path(ObjectKind.SR)])
    bare = overlay.picture(overlay.places.index((done.grids[0].frames[4].sop_uid, 1))).pixels
    written, (rows, columns) = images_of(done)[0].pixel_array, bare.shape[:2]
    tops = [top for top in range(100) if np.array_equal(written[top : top + rows, :columns], bare)]
    assert len(tops) == 1
    assert banner_rows(images_of(done)[0])[-1] < tops[0]


def test_a_long_name_of_a_model_is_broken_into_lines(ct: list[Path], tmp_path: Path) -> None:
    model = replace(MODEL, name="a model with a name that goes on and on over several lines", version="12.34.56-beta")
    one = key_images(ct, tmp_path / "one")[0]
    other = images_of(write_result(ct, one_segment, tmp_path / "other", model=model, options=OPTIONS))[0]
    assert other.Rows > one.Rows
    assert banner_rows(other)[-1] > banner_rows(one)[-1] + 10


def test_distances_are_true_where_the_pixels_have_a_size_in_the_patient(tmp_path: Path) -> None:
    images = ct_series(tmp_path / "in", slices=3, rows=40, columns=60, spacing=(3.0, 2.0, 0.5))
    (image,) = key_images(images, tmp_path, nothing)
    down, across = map(float, image.PixelSpacing)
    assert down == pytest.approx(across, rel=0.01)
    assert down * 512 == pytest.approx(40 * 2.0, rel=0.01)


def test_a_radiograph_gets_no_spacing_that_it_has_not_in_the_patient(tmp_path: Path) -> None:
    source = cr_image(tmp_path / "in", ImagerPixelSpacing=["0.2", "0.2"])
    assert "PixelSpacing" not in key_images([source], tmp_path, nothing, Geometry.IMAGE)[0]


@pytest.mark.parametrize(("stated", "written"), [(None, "YES"), ("NO", "NO"), ("YES", "YES")])
def test_identifying_text_is_as_likely_as_in_the_source(tmp_path: Path, stated: str | None, written: str) -> None:
    source = cr_image(tmp_path / "in", BurnedInAnnotation=stated)
    assert key_images([source], tmp_path, nothing, Geometry.IMAGE)[0].BurnedInAnnotation == written


def test_a_mammogram_keeps_its_side(tmp_path: Path) -> None:
    source = cr_image(tmp_path / "in", Modality="MG", BodyPartExamined="BREAST", ImageLaterality="L")
    (image,) = key_images([source], tmp_path, nothing, Geometry.IMAGE)
    assert (image.BodyPartExamined, image.Laterality, image.Modality) == ("BREAST", "L", "OT")


@pytest.mark.parametrize(("orientation", "letters"), [("axial", ["L", "P"]), ("sagittal", ["P", "F"])])
def test_an_image_says_where_its_edges_are(tmp_path: Path, orientation: str, letters: list[str]) -> None:
    images = ct_series(tmp_path / "in", slices=3, orientation=orientation)
    assert list(key_images(images, tmp_path)[0].PatientOrientation) == letters


def test_an_enhanced_object_is_named_with_its_frame(tmp_path: Path) -> None:
    done = write_result([enhanced_ct(tmp_path / "in")], one_segment, tmp_path, options=OPTIONS)
    (source,) = images_of(done)[0].SourceImageSequence
    largest = int(done.results[0].segments[0].mask.sum(axis=(1, 2)).argmax())
    assert source.ReferencedFrameNumber == done.grids[0].frames[largest].frame


def test_a_loop_in_colour_stays_in_colour(tmp_path: Path) -> None:
    (image,) = key_images([us_cine(tmp_path / "in")], tmp_path, nothing, Geometry.IMAGE)
    red, green, blue = image.pixel_array[200, 20].tolist()
    assert red > green == blue


def test_no_model_feeds_on_a_key_image(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, one_segment, tmp_path, options=OPTIONS)
    assert machine_written(read_instance(done.path(ObjectKind.SC)))


def test_the_usual_objects_are_the_same_with_and_without_it(ct: list[Path], tmp_path: Path) -> None:
    usual = write_result(ct, everything, tmp_path / "usual").objects
    more = write_result(ct, everything, tmp_path / "more", options=OPTIONS).objects
    assert [record.sha256 for record in more][: len(usual)] == [record.sha256 for record in usual]
