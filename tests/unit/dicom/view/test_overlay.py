"""A picture shows the image with what the objects say about it, at the right place, in the right shape."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from orchestrator.dicom import Grid, Overlay, Syntax, WriteOptions
from orchestrator.dicom.view.heat_map import SCALE, apply_colours
from orchestrator.dicom.view.overlay import HIDDEN_COLOUR
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import UnsupportedInput
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, HeatMap, Region, Result, Segment, Urgency
from tests.data.enhanced import enhanced_mr
from tests.data.projection import LESION, cr_image, us_cine
from tests.data.series import ct_series
from tests.parts.dicom.written import Written, everything, image_by_image, nothing, write_result

GREEN, BLUE = (0, 255, 0), (0, 0, 255)


def corner(grid: Grid) -> npt.NDArray[np.bool_]:
    """A mask in the upper left quarter of the second slice."""
    mask = np.zeros(grid.shape[:3], bool)
    mask[1, : grid.shape[1] // 2, : grid.shape[2] // 2] = True
    return mask


def green(grid: Grid) -> Result:
    return Result(segments=[Segment("Liver", corner(grid), codes["liver"], colour=GREEN)])


def pixels(png: bytes) -> npt.NDArray[Any]:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def opened(done: Written, sources: Sequence[Path] | None = None) -> Overlay:
    return Overlay.open(list(sources or done.sources), done.paths)


def is_green(picture: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(picture[..., 1].astype(int) > picture[..., 0].astype(int) + 60)


@pytest.fixture(scope="module")
def done(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, green, tmp_path_factory.mktemp("written"))


@pytest.mark.parametrize(
    "options",
    [WriteOptions(label_map=True), *(WriteOptions(syntax=each) for each in Syntax)],
    ids=lambda options: options.form or "usual",
)
def test_a_segment_is_painted_where_its_mask_is(ct: list[Path], tmp_path: Path, options: WriteOptions) -> None:
    overlay = opened(write_result(ct, green, tmp_path, options=options))
    painted = is_green(pixels(overlay.png(1, banner=False, opacity=1.0, outline=False, size=320)))
    rows, columns = painted.shape
    assert painted[8 : rows // 2 - 8, 8 : columns // 2 - 8].all()  # the SR's line runs along the border
    assert not painted[rows // 2 + 4 :].any()
    assert not painted[:, columns // 2 + 4 :].any()


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_files_does_not_matter(done: Written, order: int) -> None:
    assert opened(done, done.sources[::order]).png(1) == opened(done).png(1)


def test_other_slices_show_the_image_alone(done: Written) -> None:
    assert not is_green(pixels(opened(done).png(4, banner=False))).any()


def test_slices_follow_the_grid(done: Written) -> None:
    overlay = opened(done)
    assert overlay.slices == len(done.grids[0].frames)
    assert overlay.best_slice == 1


def test_an_outline_alone_leaves_the_inside_as_it_is(done: Written) -> None:
    painted = is_green(pixels(opened(done).png(1, opacity=0.0, banner=False, size=320)))
    rows, columns = painted.shape
    assert painted.any()
    assert not painted[20 : rows // 2 - 20, 20 : columns // 2 - 20].any()


@pytest.mark.parametrize(("spacing", "shape"), [((3.0, 2.0, 0.5), (400, 100)), ((3.0, 0.5, 1.0), (200, 400))])
def test_anisotropic_pixels_keep_their_aspect(
    tmp_path: Path, spacing: tuple[float, ...], shape: tuple[int, int]
) -> None:
    images = ct_series(tmp_path / "in", slices=3, rows=40, columns=40, spacing=spacing)
    picture = pixels(opened(write_result(images, green, tmp_path)).png(1, size=400, banner=False))
    assert picture.shape[:2] == shape


def test_a_picture_whose_size_nobody_chose_is_readable(done: Written) -> None:
    assert max(pixels(opened(done).png(1, banner=False)).shape) == 512


def test_banner_and_legend_stand_beside_the_image(done: Written) -> None:
    overlay = opened(done)
    bare, with_banner = (pixels(overlay.png(1, banner=banner)) for banner in (False, True))
    with_both = pixels(overlay.png(1, legend=True))
    above = len(with_banner) - len(bare)
    assert above > 10
    assert np.array_equal(with_banner[above:], bare)
    assert with_banner[:above].max() > 200
    assert np.array_equal(with_both[: len(with_banner)], with_banner)
    assert is_green(with_both[len(with_banner) :]).any()


def test_the_legend_says_what_the_objects_say(ct: list[Path], tmp_path: Path) -> None:
    legend = opened(write_result(ct, everything, tmp_path)).legend
    assert [entry.label for entry in legend] == ["Liver", "Lesion", "Nodule"]
    assert legend[0].text.endswith(" ml")
    assert legend[1].text.endswith("Neoplasm: present, score 0.70")
    assert legend[2].text == "present, score 0.90, 2 places"
    assert len({entry.colour for entry in legend}) == 3


def test_the_slice_of_a_finding_is_the_best(ct: list[Path], tmp_path: Path) -> None:
    def finding(grid: Grid) -> Result:
        place = Region.point(6, 3, 3)
        return Result([*green(grid).segments], [Finding(codes["nodule"], urgency=Urgency.URGENT, regions=[place])])

    assert opened(write_result(ct, finding, tmp_path)).best_slice == 6


def test_an_image_that_shows_a_finding_is_framed_and_counted(ct: list[Path], tmp_path: Path) -> None:
    overlay = opened(write_result(ct, image_by_image, tmp_path))
    framed, bare = (pixels(overlay.png(index, banner=False)) for index in (0, 4))
    (entry,) = overlay.legend
    assert (framed[0] == entry.colour).all()
    assert not (bare[0] == entry.colour).all(axis=-1).any()
    assert (entry.label, entry.text, overlay.best_slice) == ("Pneumothorax", "the whole image, 2 images", 7)


def test_without_anything_to_draw_the_middle_is_shown(ct: list[Path], tmp_path: Path) -> None:
    overlay = opened(write_result(ct, nothing, tmp_path))
    assert (overlay.best_slice, overlay.legend) == (4, ())


def test_a_segmentation_without_a_report_is_drawn_too(done: Written) -> None:
    overlay = Overlay.open(list(done.sources), [done.path(ObjectKind.SEG)])
    assert overlay.best_slice == 1
    assert is_green(pixels(overlay.png(1))).any()


def test_frames_of_a_loop_have_their_own_marks(tmp_path: Path) -> None:
    places = [Region.box(frame, 10, 30, 20, 44, score=0.5 + frame / 10) for frame in (1, 3)]
    result = Result(findings=[Finding(codes["burned in text"], regions=places)])
    done = write_result([us_cine(tmp_path / "in")], lambda _: result, tmp_path, geometry=Geometry.IMAGE)
    overlay = opened(done)
    pictures = [overlay.png(index) for index in range(overlay.slices)]
    assert overlay.slices == 5
    assert overlay.best_slice == 3
    assert len({pictures[0], pictures[2], pictures[4]}) == 1
    assert pictures[1] != pictures[0]


def test_an_enhanced_object_is_shown_along_its_normal(tmp_path: Path) -> None:
    order = [3, 0, 2, 1]
    image = enhanced_mr(tmp_path / "in", slices=4, rows=16, columns=16, frame_order=order)
    done = write_result([image], green, tmp_path)
    overlay, frames = opened(done), [frame.frame for frame in done.grids[0].frames]
    shown = [is_green(pixels(overlay.png(index, banner=False))).any() for index in range(4)]
    assert [name for name, is_shown in zip(overlay.names, shown, strict=True) if is_shown] == [f"frame {frames[1]}"]
    assert overlay.names in {tuple(f"frame {frame}" for frame in each) for each in (frames, frames[::-1])}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_radiograph_is_bright_where_it_is_dense(tmp_path: Path, photometric: str) -> None:
    image = cr_image(tmp_path / "in", photometric=photometric, ImagerPixelSpacing=["0.2", "0.2"])
    overlay = opened(write_result([image], nothing, tmp_path, geometry=Geometry.IMAGE))
    picture = pixels(overlay.png(0, banner=False, size=96))
    assert picture[LESION].mean() > 200
    assert picture[40:].mean() < 50


def test_the_window_can_be_chosen(done: Written) -> None:
    overlay = opened(done)
    dark, bright = (pixels(overlay.png(4, banner=False, window=(centre, 200.0))).mean() for centre in (900.0, -900.0))
    assert dark < 20 < 100 < bright


@pytest.mark.parametrize("index", [-1, 8])
def test_a_slice_that_is_not_there_is_refused(done: Written, index: int) -> None:
    with pytest.raises(IndexError, match=f"slice {index} does not exist; the result has 8 slices"):
        opened(done).png(index)


def test_objects_are_no_images_of_their_own(done: Written) -> None:
    with pytest.raises(UnsupportedInput):
        Overlay.open(done.paths, done.paths)


def warm(grid: Grid) -> Result:
    """A likelihood that is 1 in the upper left quarter of the second slice and 0 elsewhere, beside a second map."""
    likelihood = HeatMap("Likelihood", corner(grid).astype(np.float32), range=(0, 1))
    return Result(maps=[likelihood, HeatMap("Diffusion", 2.0 * corner(grid), "mm2/s")])


@pytest.mark.parametrize("options", [WriteOptions(syntax=each) for each in Syntax], ids=lambda options: options.form)
def test_a_map_is_drawn_in_the_colours_of_its_scale_where_it_is_high(
    ct: list[Path], tmp_path: Path, options: WriteOptions
) -> None:
    overlay = opened(write_result(ct, warm, tmp_path, options=options))
    plain = pixels(overlay.png(1, opacity=0, size=480, banner=False))
    drawn = pixels(overlay.png(1, opacity=1, size=480, banner=False))
    height, width = drawn.shape[:2]
    assert tuple(drawn[height // 4, width // 4]) == SCALE[-1]
    assert np.array_equal(drawn[height // 2 + 20 :], plain[height // 2 + 20 :])
    assert overlay.best_slice == 1


def test_a_map_disappears_when_the_overlay_is_off(ct: list[Path], tmp_path: Path) -> None:
    with_map = opened(write_result(ct, warm, tmp_path / "map"))
    without = opened(write_result(ct, nothing, tmp_path / "none"))
    assert with_map.png(1, opacity=0, outline=False) == without.png(1, opacity=0, outline=False)


def within(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the colours of a picture inside of the letters at its edges."""
    return drawn[40:-40, 40:-40].reshape(-1, 3)


def test_a_map_with_a_unit_covers_low_values_too(ct: list[Path], tmp_path: Path) -> None:
    def diffusion(grid: Grid) -> Result:
        return Result(maps=warm(grid).maps[1:])

    drawn = pixels(opened(write_result(ct, diffusion, tmp_path)).png(0, opacity=1, banner=False))
    assert {tuple(colour) for colour in within(drawn)} == {SCALE[0]}


def test_the_fill_of_a_segment_does_not_hide_the_map(ct: list[Path], tmp_path: Path) -> None:
    def both(grid: Grid) -> Result:
        return Result(segments=green(grid).segments, maps=warm(grid).maps)

    drawn = pixels(opened(write_result(ct, both, tmp_path)).png(1, opacity=1, size=480, banner=False))
    assert tuple(drawn[drawn.shape[0] // 4, drawn.shape[1] // 4]) == SCALE[-1]
    assert (drawn == GREEN).all(axis=2).any()


def test_the_legend_gives_the_ends_of_a_map_and_its_unit(ct: list[Path], tmp_path: Path) -> None:
    legend = opened(write_result(ct, warm, tmp_path)).legend
    assert [entry.line for entry in legend] == ["Likelihood: 0 to 1", "Diffusion: 0 to 2 mm²/s, not drawn here"]
    assert [entry.colours for entry in legend] == [SCALE, (HIDDEN_COLOUR,)]


def test_another_map_of_the_model_can_be_chosen(ct: list[Path], tmp_path: Path) -> None:
    overlay = opened(write_result(ct, warm, tmp_path))
    assert overlay.map_names == ("Likelihood", "Diffusion")
    likelihood, diffusion = (pixels(overlay.png(0, opacity=1, banner=False, chosen_map=each)) for each in (0, 1))
    assert np.array_equal(likelihood, pixels(overlay.png(0, opacity=0, banner=False)))  # nothing is likely here
    assert {tuple(colour) for colour in within(diffusion)} == {SCALE[0]}


def test_a_map_that_is_not_there_is_not_drawn(ct: list[Path], tmp_path: Path) -> None:
    overlay = opened(write_result(ct, warm, tmp_path))
    assert overlay.png(1, opacity=1, chosen_map=2) == overlay.png(1, opacity=0)


def test_the_map_that_a_model_gives_first_is_drawn_whatever_the_order_of_the_files(
    ct: list[Path], tmp_path: Path
) -> None:
    done = write_result(ct, warm, tmp_path)
    overlays = [Overlay.open(done.sources, paths) for paths in (done.paths, done.paths[::-1])]
    assert len({overlay.png(1, legend=True) for overlay in overlays}) == 1


def test_the_colours_of_a_map_get_ever_brighter() -> None:
    luminance = apply_colours(np.linspace(0, 1, 256, dtype=np.float32)) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert (np.diff(luminance) > 0).all()
