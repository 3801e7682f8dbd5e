"""Masks become frames: only those that show something, bit by bit as DICOM packs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orchestrator.dicom.objects.masks import COLOURS, encode_frames, non_empty_segments, overlaps
from orchestrator.domain.concepts import codes
from orchestrator.domain.result import Segment

shapes = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))


def segments_of(*masks: npt.NDArray[Any]) -> list[Segment]:
    return [Segment(f"segment {number}", mask, codes["liver"]) for number, mask in enumerate(masks)]


@settings(deadline=None)
@given(shapes.flatmap(lambda shape: st.lists(arrays(bool, shape), min_size=1, max_size=3)))
def test_frames_hold_the_bits_of_all_planes_that_are_not_empty(masks: list[npt.NDArray[np.bool_]]) -> None:
    present = non_empty_segments(segments_of(*masks))
    if not present:
        assert not any(mask.any() for mask in masks)
        return
    frames = encode_frames(present, labelmap=False)
    planes = [plane for mask in masks for plane in mask if plane.any()]
    bits = np.unpackbits(np.frombuffer(frames.pixels, np.uint8), bitorder="little")
    expected = np.concatenate([plane.ravel() for plane in planes])
    assert len(frames.contents) == len(planes)
    assert np.array_equal(bits[: expected.size], expected)
    assert not bits[expected.size :].any()
    assert len(bits) - expected.size < 8


@given(
    shapes.flatmap(lambda shape: st.lists(arrays(np.uint8, shape, elements=st.integers(0, 1)), min_size=2, max_size=4))
)
def test_overlap_is_noticed(masks: list[npt.NDArray[np.uint8]]) -> None:
    present = non_empty_segments(segments_of(*masks))
    shared = np.sum([mask.astype(int) for mask in masks], axis=0).max(initial=0) > 1
    assert (bool(present) and overlaps(present)) == bool(shared)


def test_counts_are_those_of_each_slice() -> None:
    mask = np.zeros((3, 3, 5), np.uint8)
    mask[1, 1, 1:4] = 1
    (segment,) = non_empty_segments(segments_of(mask))
    assert (segment.counts.tolist(), segment.slices, segment.voxels) == ([0, 3, 0], (1,), 3)


def test_a_mask_of_any_layout_is_read_alike() -> None:
    mask = np.asfortranarray(np.random.default_rng(0).random((4, 6, 5)) > 0.5)
    straight = encode_frames(non_empty_segments(segments_of(np.ascontiguousarray(mask))), labelmap=False)
    assert encode_frames(non_empty_segments(segments_of(mask)), labelmap=False).pixels == straight.pixels
    assert encode_frames(non_empty_segments(segments_of(mask[::-1])), labelmap=False).pixels != straight.pixels


def test_segments_that_name_no_colour_get_different_ones() -> None:
    full = np.ones((1, 2, 2), bool)
    present = non_empty_segments([*segments_of(full, full), Segment("own", full, codes["liver"], colour=(1, 2, 3))])
    assert [segment.colour for segment in present] == [*COLOURS[:2], (1, 2, 3)]


def test_a_label_map_has_one_frame_for_a_slice() -> None:
    mask = np.zeros((3, 2, 2), bool)
    mask[1, 0, 0] = True
    other = np.zeros_like(mask)
    other[1:, 1, 1] = True
    frames = encode_frames(non_empty_segments(segments_of(mask, other)), labelmap=True)
    assert frames.contents == ((None, 1), (None, 2))
    assert list(frames.pixels) == [1, 0, 0, 2, 0, 0, 0, 2]


@pytest.mark.parametrize("count", [2, 256])
def test_what_no_label_map_can_hold_stays_binary(count: int) -> None:
    if count == 2:
        masks = [np.ones((1, 2, 2), bool)] * 2
    else:
        masks = [np.eye(256, dtype=bool)[number].reshape(1, 16, 16) for number in range(count)]
    frames = encode_frames(non_empty_segments(segments_of(*masks)), labelmap=True)
    assert (frames.labelmap, frames.overlapping) == (False, count == 2)
