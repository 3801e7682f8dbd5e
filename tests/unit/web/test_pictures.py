"""The gallery keeps what is looked at, and only that."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.web.pictures import Gallery, NoPicture
from tests.data.reading_room import Drawing, Drawings


def slices(drawing: Drawing) -> int:
    return drawing.slices


def test_an_overlay_stays_open_while_it_is_looked_at():
    pictures = Drawings()
    gallery = Gallery(pictures)
    gallery.see("a", "1", slices)
    gallery.see("a", "1", slices)
    assert pictures.opened == ["a"]


def test_objects_written_anew_are_opened_anew():
    pictures = Drawings()
    gallery = Gallery(pictures)
    gallery.see("a", "1", slices)
    gallery.see("a", "2", slices)
    assert pictures.opened == ["a", "a"]


def test_the_overlay_unused_for_longest_is_closed_first():
    pictures = Drawings()
    gallery = Gallery(pictures, overlays=2)
    for key in ("a", "b", "a", "c", "a", "b"):
        gallery.see(key, "1", slices)
    assert pictures.opened == ["a", "b", "c", "b"]


def test_thumbnails_do_not_close_what_is_looked_at():
    pictures = Drawings()
    gallery = Gallery(pictures, overlays=1)
    gallery.see("a", "1", slices)
    for key in ("b", "c", "d"):
        gallery.thumbnail(key, "1")
    gallery.see("a", "1", slices)
    assert pictures.opened == ["a", "b", "c", "d"]


def test_a_thumbnail_is_drawn_once():
    pictures = Drawings()
    gallery = Gallery(pictures)
    assert gallery.thumbnail("a", "1") == gallery.thumbnail("a", "1")
    assert pictures.opened == ["a"]


def test_many_readers_of_one_result_open_it_once():
    pictures = Drawings()
    gallery = Gallery(pictures)
    with ThreadPoolExecutor(8) as readers:
        list(readers.map(lambda _: gallery.see("a", "1", slices), range(40)))
    assert pictures.opened == ["a"]


def test_one_overlay_is_drawn_by_one_thread_at_a_time():
    gallery = Gallery(Drawings())
    inside = threading.Semaphore(1)

    def look(_: Drawing) -> bool:
        alone = inside.acquire(blocking=False)
        threading.Event().wait(0.005)
        if alone:
            inside.release()
        return alone

    with ThreadPoolExecutor(4) as readers:
        assert all(readers.map(lambda _: gallery.see("a", "1", look), range(8)))


def test_a_result_that_could_not_be_opened_is_tried_again():
    pictures = Drawings(gone={"a"})
    gallery = Gallery(pictures)
    with pytest.raises(NoPicture):
        gallery.see("a", "1", slices)
    pictures.gone.clear()
    assert gallery.see("a", "1", slices) == 24


def test_files_that_vanish_while_open_are_no_picture():
    def look(_: Drawing) -> int:
        raise FileNotFoundError("slice 3")

    with pytest.raises(NoPicture, match="FileNotFoundError"):
        Gallery(Drawings()).see("a", "1", look)


def test_a_fault_of_ours_is_not_called_a_missing_picture():
    def look(_: Drawing) -> int:
        raise TypeError("ours")

    with pytest.raises(TypeError):
        Gallery(Drawings()).see("a", "1", look)
