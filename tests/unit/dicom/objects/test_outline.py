"""An outline follows the edges of the pixels, so that its area is that of what it encloses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from orchestrator.dicom.objects.outline import outline, outlines, polygon_area
from orchestrator.domain.checks import MOST_POINTS

planes = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda plane: plane.any())


def largest_piece(plane: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    pieces, count = ndimage.label(plane)
    largest = max(range(1, count + 1), key=lambda piece: int((pieces == piece).sum()))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest))


def test_a_pixel_is_outlined_along_its_edges() -> None:
    assert outline(np.array([[0, 0], [0, 1]])).tolist() == [[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]


def test_straight_stretches_have_no_points_of_their_own() -> None:
    assert len(outline(np.ones((5, 7)))) == 4


@given(planes)
def test_the_area_is_that_of_the_largest_piece_without_holes(plane: npt.NDArray[np.bool_]) -> None:
    assert polygon_area(outline(plane)) == pytest.approx(largest_piece(plane).sum())


@given(planes)
def test_all_outlines_together_enclose_the_mask_piece_by_piece(plane: npt.NDArray[np.bool_]) -> None:
    pieces, count = ndimage.label(plane)
    areas = [int(ndimage.binary_fill_holes(pieces == piece).sum()) for piece in range(1, count + 1)]
    drawn = list(outlines(plane))
    assert sorted(polygon_area(points) for points in drawn) == pytest.approx(sorted(areas))
    assert any(np.array_equal(points, outline(plane)) for points in drawn)


@given(planes)
def test_the_outline_stays_on_the_image(plane: npt.NDArray[np.bool_]) -> None:
    points = outline(plane)
    assert points.min() >= -0.5
    assert (points <= np.array(plane.shape) - 0.5).all()


def test_a_border_too_long_for_one_scoord_is_thinned() -> None:
    comb = np.zeros((400, 400), bool)
    comb[:, ::2] = True
    comb[0] = comb[::7] = True
    comb[1:, :] &= np.random.default_rng(0).random((399, 400)) < 0.999
    teeth = np.ones((3, 20_000), bool)
    teeth[1:, ::2] = False
    assert 4 < len(outline(comb)) <= MOST_POINTS
    assert 4 < len(outline(teeth)) <= MOST_POINTS
