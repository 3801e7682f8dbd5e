"""Pictures are drawn as asked, within bounds, and kept only under an address that names their objects."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from orchestrator.web.reading.worklist import picture_version
from tests.data.reading_room import Drawings, ReadingRoom


@pytest.fixture
def slices(room: ReadingRoom) -> str:
    return f"/results/{room.result('brain').key}/slices/"


def test_a_slice_is_a_png_of_the_size_asked_for(visitor, slices):
    answer = visitor.get(f"{slices}3.png?size=128")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (128, 128)


def test_the_look_is_passed_on(visitor, slices, pictures: Drawings):
    visitor.get(f"{slices}3.png?opacity=20&outline=false&centre=-600&width=1500&size=256")
    assert pictures.drawing.drawn == [(3, 0.2, False, (-600.0, 1500.0), 256)]


@pytest.mark.parametrize("query", ["", "?centre=40", "?width=80"])
def test_half_a_window_is_no_window(visitor, slices, pictures: Drawings, query):
    visitor.get(f"{slices}0.png{query}")
    assert pictures.drawing.drawn == [(0, 0.45, True, None, None)]


@pytest.mark.parametrize(
    "query",
    [
        *("opacity=101", "opacity=-1", "size=63", "size=1025", "v=../x"),
        *("width=0", "width=-5", "width=inf", "centre=nan", "centre=1e9"),
    ],
)
def test_what_is_out_of_bounds_is_refused(visitor, slices, pictures: Drawings, query):
    assert visitor.get(f"{slices}0.png?{query}").status_code == 422
    assert pictures.drawing.drawn == []


@pytest.mark.parametrize("index", ["24", "99999", "-1", "1000000", "x"])
def test_a_slice_that_is_not_there_is_not_found(visitor, slices, index):
    assert visitor.get(f"{slices}{index}.png").status_code == 404


def test_a_picture_is_kept_only_under_its_own_version(visitor, app, room: ReadingRoom, slices):
    version = picture_version(app.state.site, room.keys["brain"])
    assert "immutable" in visitor.get(f"{slices}0.png?v={version}").headers["cache-control"]
    assert visitor.get(f"{slices}0.png?v=0123456789abcdef").headers["cache-control"] == "no-store"


def test_kept_pictures_are_private(visitor, app, room: ReadingRoom, slices):
    version = picture_version(app.state.site, room.keys["brain"])
    assert "private" in visitor.get(f"{slices}0.png?v={version}").headers["cache-control"]


def test_one_result_is_opened_once_for_all_its_slices(visitor, slices, pictures: Drawings):
    for index in range(5):
        visitor.get(f"{slices}{index}.png")
    assert len(pictures.opened) == 1


def test_a_picture_whose_files_are_gone_is_not_found(visitor, slices, room: ReadingRoom, pictures: Drawings):
    pictures.gone.add(room.keys["brain"])
    answer = visitor.get(f"{slices}0.png")
    assert answer.status_code == 404
    assert "UnreadableFile" not in answer.text


def test_a_thumbnail_shows_the_best_slice(visitor, room: ReadingRoom, pictures: Drawings):
    answer = visitor.get(f"/results/{room.result('brain').key}/thumbnail.png")
    assert Image.open(io.BytesIO(answer.content)).size == (192, 192)
    assert pictures.drawing.drawn[0][0] == pictures.drawing.best_slice


def test_a_thumbnail_without_files_shows_a_drawing_that_says_so(visitor, room: ReadingRoom, pictures: Drawings):
    pictures.gone.add(room.result("brain").key)
    answer = visitor.get(f"/results/{room.keys['brain']}/thumbnail.png")
    assert answer.status_code == 307
    assert visitor.get(answer.headers["location"]).headers["content-type"] == "image/svg+xml"


def test_images_have_the_numbers_that_the_pacs_shows(visitor, room: ReadingRoom):
    text = visitor.get(f"/results/{room.result('brain').key}?slice=4").text
    assert ">image 105 (5 / 24)</output>" in text
    assert ">Best: image 112</a>" in text
    assert 'alt="image 105, 5 of 24, with' in text
    assert ">image 112</a>" in text  # where the volume is


def test_images_without_a_number_are_counted(visitor, room: ReadingRoom, pictures: Drawings):
    pictures.drawing.first_number = None
    text = visitor.get(f"/results/{room.result('brain').key}?slice=4").text
    assert ">slice 5 (5 / 24)</output>" in text
