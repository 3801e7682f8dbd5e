"""A copy stored another way is the same body: every voxel keeps its place in the patient."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from orchestrator.testing import Phantom, Stack, read_series, synthetic_images, synthetic_series
from orchestrator.testing.headers import decimals

PHANTOM = Phantom(slices=5, rows=7, columns=6, orientation="oblique", padding=None)
TURNS = [
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for count in range(4)
    for flips in itertools.combinations(range(3), count)
]


def stack() -> Stack:
    return Stack(Dataset(), PHANTOM.voxels.astype(np.int16), PHANTOM.affine, "1.2.3")


def at(stack: Stack, index: tuple[int, ...]) -> tuple[float, ...]:
    assert stack.affine is not None
    return tuple(np.round(stack.affine @ [*index, 1], 6)[:3].tolist())


def body(stack: Stack) -> dict[tuple[float, ...], int]:
    """Return the voxel at each place in the patient."""
    return {at(stack, index): int(stack.voxels[index]) for index in np.ndindex(stack.voxels.shape)}


def keeps_its_hand(axes: tuple[int, ...], flips: tuple[int, ...]) -> bool:
    way = np.eye(3)[list(axes)]
    return bool(np.linalg.det(way) * (-1) ** len(flips) > 0)


@pytest.mark.parametrize(("axes", "flips"), [turn for turn in TURNS if keeps_its_hand(*turn)])
def test_a_turned_body_is_the_same_body(axes: tuple[int, int, int], flips: tuple[int, ...]) -> None:
    assert body(stack().turned("turned", axes, flips)) == body(stack())


@pytest.mark.parametrize(("axes", "flips"), [turn for turn in TURNS if not keeps_its_hand(*turn)])
def test_a_turn_that_would_mirror_the_body_is_refused(axes: tuple[int, int, int], flips: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="would mirror the body"):
        stack().turned("turned", axes, flips)


@given(axis=st.integers(0, 2))
def test_a_thinned_body_keeps_every_second_voxel_at_its_place(axis: int) -> None:
    thinned = body(stack().thinned("thin", axis))
    assert thinned.items() <= body(stack()).items()
    assert len(thinned) == PHANTOM.voxels.size * -(-PHANTOM.shape[axis] // 2) // PHANTOM.shape[axis]


@given(index=st.integers(0, PHANTOM.slices - 1))
def test_one_slice_stays_at_its_place(index: int) -> None:
    assert body(stack().one_slice("one", index)).items() <= body(stack()).items()


def test_a_rotated_body_keeps_its_middle_and_its_distances() -> None:
    quarter = np.array([(0.0, -1, 0), (1, 0, 0), (0, 0, 1)])
    turned = stack().rotated("rotated", quarter)
    middle = [*(np.array(PHANTOM.shape) - 1) / 2, 1]
    assert turned.affine is not None
    np.testing.assert_allclose(turned.affine @ middle, PHANTOM.affine @ middle, atol=1e-9)
    np.testing.assert_allclose(turned.affine[:3, :3], quarter @ PHANTOM.affine[:3, :3], atol=1e-9)


COPIES = {
    "as it is": (lambda stack: stack, {}),
    "descending": (lambda stack: stack, {"descending": True}),
    "feet first": (lambda stack: stack.turned("turned", (0, 1, 2), (0, 2)), {}),
    "sagittal": (lambda stack: stack.turned("turned", (2, 0, 1), (0, 1)), {}),
    "thin": (lambda stack: stack.thinned("thin", 2), {}),
}


@pytest.mark.parametrize(("change", "how"), COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_what_was_written_is_read_again(tmp_path: Path, modality: str, change, how) -> None:
    series = synthetic_series(tmp_path / "source", modality=modality, slices=5, rows=16, columns=12)
    copy = change(Stack.of(series.read(), series.paths[0]))
    read = read_series(copy.write(tmp_path / "copy", **how))
    np.testing.assert_allclose(read.affine, copy.affine, atol=1e-4)
    np.testing.assert_allclose(read.voxels, copy.voxels, rtol=1e-4, atol=0.1)
    assert (read.unit, read.modality) == (series.read().unit, modality)


def test_inverted_images_show_the_same(tmp_path: Path) -> None:
    images = synthetic_images(tmp_path / "source", modality="CR")
    paths = Stack.of(images.read(), images.paths[0]).write(tmp_path / "copy", inverted=True)
    assert dcmread(paths[0]).PhotometricInterpretation == "MONOCHROME1"
    copy = synthetic_images(tmp_path / "unused", modality="CR")
    np.testing.assert_array_equal(type(copy)(copy.projection, tuple(paths)).read().voxels, images.read().voxels)


def test_a_copy_is_nobodys_and_its_uids_are_its_own(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path / "source", slices=3, rows=16, columns=12)
    source = dcmread(series.paths[0])
    source.add_new(0x00091001, "LO", "private")
    source.save_as(series.paths[0])
    copy = dcmread(Stack.of(series.read(), series.paths[0]).write(tmp_path / "copy")[0])
    assert "Phantom" not in str(copy.PatientName)
    assert (copy.PatientID, copy.AccessionNumber) == ("CHECK", "")
    assert not any(element.tag.is_private for element in copy)
    assert {copy.SOPInstanceUID, copy.SeriesInstanceUID, copy.StudyInstanceUID}.isdisjoint(
        {source.SOPInstanceUID, source.SeriesInstanceUID, source.StudyInstanceUID}
    )


@pytest.mark.parametrize("value", [-9.999999999999984, 9.999999999999996, -4.4e-16, 1234567.123456789, -1 / 3])
def test_a_number_fits_its_header(value: float) -> None:
    (text,) = decimals([value])
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-9)
