"""Which lines are text, which images are looked at, and what the finding says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_burned_in_text.detector import OVERLAP, TILE, TextLine, text_lines, tile_starts
from orchestrator_burned_in_text.model import (
    ENOUGH_IMAGES,
    MOST_IMAGES,
    distinct_places,
    finding_of,
    picture_of,
    search_lines,
    spread,
)
from orchestrator_burned_in_text.overlay import is_overlay
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from orchestrator.sdk import Presence

LINE = TextLine(10, 20, 30, 120, score=0.9)


def written(text: str, size: int, *, background: np.ndarray | None = None) -> tuple[np.ndarray, TextLine]:
    """Return a picture (400 x 900) with the text drawn on it, and the line that it is."""
    picture = Image.fromarray(np.zeros((400, 900), np.uint8) if background is None else background)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture)
    draw.text((40, 50), text, fill=255, font=font)
    left, top, right, bottom = draw.textbbox((40, 50), text, font=font)
    return np.asarray(picture, dtype=np.float32) / 255, TextLine(top - 3, left - 3, bottom + 3, right + 3, 0.9)


@pytest.mark.parametrize("size", [10, 16, 24, 40])
def test_drawn_type_is_an_overlay(size):
    picture, line = written("DOE^JANE 1960-04-02", size)
    assert is_overlay(line, picture)


def test_type_that_runs_from_air_over_bone_is_an_overlay():
    slope = np.tile(np.linspace(0, 200, 900), (400, 1)).astype(np.uint8)
    picture, line = written("DOE^JANE 1960-04-02 ID 4711", 40, background=slope)
    assert is_overlay(line, picture)


def test_type_from_top_to_bottom_is_an_overlay():
    picture, line = written("DOE^JANE 1960-04-02", 24)
    turned = TextLine(line.left, line.top, line.right, line.bottom, line.score)
    assert is_overlay(turned, picture.T.copy())


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(400, 900)), 6) * 30, id="anatomy"),
        pytest.param(np.full((400, 900), 0.5), id="nothing"),
        pytest.param(0.5 + np.random.default_rng(2).normal(0, 0.01, (400, 900)), id="noise"),
    ],
)
def test_what_has_no_edges_of_type_is_no_overlay(picture):
    assert not is_overlay(TextLine(50, 40, 80, 300, 0.99), picture.astype(np.float32))


def test_blurred_type_of_lead_is_no_overlay():
    picture, line = written("R", 40)
    assert not is_overlay(line, ndimage.gaussian_filter(picture, 5))


@pytest.mark.parametrize(
    "line", [TextLine(50, 40, 53, 90, 0.9), TextLine(0, 0, 200, 600, 0.9), TextLine(40, 40, 90, 90, 0.9)]
)
def test_specks_whole_regions_and_lone_letters_are_no_lines(line):
    crisp = np.tile(np.array([0, 0, 1, 1], np.float32), (400, 225))
    assert is_overlay(TextLine(50, 40, 70, 90, 0.9), crisp)
    assert not is_overlay(line, crisp)


def test_a_core_grows_back_to_its_line():
    probability = np.zeros((60, 200), np.float32)
    probability[20:28, 30:130] = 0.8
    (line,) = text_lines(probability)
    grown = 8 * 100 * 1.6 / (2 * (8 + 100))
    assert (line.top, line.right) == pytest.approx((20 - grown, 130 + grown))
    assert line.score == pytest.approx(0.8)


@pytest.mark.parametrize(("rows", "value"), [(slice(20, 22), 0.9), (slice(20, 30), 0.4)])
def test_slivers_and_unsure_cores_are_left_out(rows, value):
    probability = np.zeros((60, 200), np.float32)
    probability[rows, 30:130] = value
    assert text_lines(probability) == []


@given(st.integers(1, 6000))
def test_tiles_cover_a_side_and_overlap(side):
    starts = tile_starts(side)
    assert starts[0] == 0
    assert starts[-1] + TILE >= side
    assert all(second - first <= TILE - OVERLAP for first, second in itertools.pairwise(starts))


@given(st.integers(1, 500))
def test_every_image_has_its_turn_once(count):
    assert sorted(spread(count)) == list(range(count))


def test_the_first_turns_are_spread_over_the_series():
    assert list(spread(101))[:5] == [0, 100, 50, 25, 75]


def test_a_few_images_are_enough_where_text_is_found():
    found, looked = search_lines(np.zeros((90, 4, 4)), lambda image: [LINE])
    assert looked == ENOUGH_IMAGES
    assert [index for index, _ in found] == [0, 89, 44, 22, 66]


def test_every_image_is_looked_at_before_text_is_called_absent():
    images = np.arange(90).reshape(90, 1, 1)
    found, looked = search_lines(images, lambda image: [LINE] if image[0, 0] == 33 else [])
    assert found == [(33, LINE)]
    assert ENOUGH_IMAGES < looked <= 90


@pytest.mark.parametrize(
    ("count", "presence"), [(MOST_IMAGES, Presence.ABSENT), (MOST_IMAGES + 1, Presence.UNDETERMINED)]
)
def test_absent_is_said_only_when_all_was_seen(count, presence):
    found, looked = search_lines(np.zeros((count, 2, 2)), lambda image: [])
    assert finding_of(distinct_places(found), is_complete=looked == count).presence is presence


def test_a_place_is_given_once_with_its_surest_image():
    surer = TextLine(11, 21, 31, 121, score=0.95)
    elsewhere = TextLine(100, 20, 120, 120, score=0.8)
    assert distinct_places([(0, LINE), (7, surer), (7, elsewhere)]) == [(7, surer), (7, elsewhere)]


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_more_than_8_bits_are_windowed_and_text_stays_brightest(kind):
    image = np.random.default_rng(5).integers(100, 1000, (200, 200)).astype(kind)
    image[:4, :100] = 4095
    picture = picture_of(image)
    assert (picture.min(), picture.max()) == (0.0, 1.0)
    assert (picture[:4, :100] == 1).all()


def test_an_image_of_one_value_is_black():
    assert not picture_of(np.full((50, 50), 700, np.int16)).any()
