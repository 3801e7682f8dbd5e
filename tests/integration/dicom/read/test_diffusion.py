"""Diffusion: images of several b-values are never mixed in one volume, whoever made them and however they say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import gather, plan, read_instance
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from tests.data.series import enhanced_mr, mr_series

B_VALUES = (0, 500, 1000)


def _standard(dataset: Dataset, b_value: int) -> None:
    dataset.DiffusionBValue = float(b_value)


def _siemens(dataset: Dataset, b_value: int) -> None:
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(b_value))


def _ge(dataset: Dataset, b_value: int) -> None:
    dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [str(1_000_000_000 + b_value), "8"])


def _philips(dataset: Dataset, b_value: int) -> None:
    dataset.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", float(b_value))


VENDORS = (_standard, _siemens, _ge, _philips)


def diffusion(folder: Path, say: Callable[[Dataset, int], None]) -> list[Path]:
    """Write a series of three b-values at each place and return its paths."""
    paths = mr_series(folder, slices=6, rows=16, columns=16, time_points=len(B_VALUES))
    for path in paths:
        dataset = dcmread(path)
        say(dataset, B_VALUES[int(dataset.TemporalPositionIdentifier) - 1])
        del dataset.TemporalPositionIdentifier
        dataset.save_as(path)
    return paths


def refusal(paths: list[Path], geometry: Geometry = Geometry.VOLUME) -> UnsupportedInput:
    with pytest.raises(UnsupportedInput) as refused:
        plan(gather([read_instance(path) for path in paths]), Accepts(geometry=geometry))
    return refused.value


@pytest.mark.parametrize("geometry", [Geometry.VOLUME, Geometry.STACK])
@pytest.mark.parametrize("say", VENDORS)
def test_several_b_values_are_refused(tmp_path: Path, say: Callable[[Dataset, int], None], geometry: Geometry) -> None:
    refused = refusal(diffusion(tmp_path, say), geometry)
    assert refused.fault in {InputFault.SEVERAL_TIME_POINTS, InputFault.DUPLICATE_POSITION}
    assert "3 images at each of 6 positions" in refused.reason or "several images at 6 of 6 positions" in refused.reason


def test_the_refusal_names_the_b_value_where_the_images_do(tmp_path: Path) -> None:
    refused = refusal(diffusion(tmp_path, _standard))
    assert refused.fault is InputFault.SEVERAL_TIME_POINTS
    assert refused.reason == "3 images at each of 6 positions, which differ in DiffusionBValue"


def test_slices_of_two_b_values_that_never_share_a_place_make_no_volume_either(tmp_path: Path) -> None:
    whole = {}
    for path in diffusion(tmp_path, _standard):
        dataset = dcmread(path, stop_before_pixels=True)
        whole[float(dataset.ImagePositionPatient[2]), float(dataset.DiffusionBValue)] = path
    places = sorted({place for place, _ in whole})
    torn = [whole[place, 0.0 if number < 3 else 1000.0] for number, place in enumerate(places)]
    refused = refusal(torn)
    assert (refused.fault, refused.reason) == (InputFault.SEVERAL_TIME_POINTS, "the images have 2 different b-values")


def test_frames_of_several_b_values_are_refused_too(tmp_path: Path) -> None:
    def say(dataset: Dataset) -> None:
        for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            groups.MRDiffusionSequence = [Dataset()]
            groups.MRDiffusionSequence[0].DiffusionBValue = float(B_VALUES[number // 6])
            del groups.FrameContentSequence[0].TemporalPositionIndex

    path = enhanced_mr(tmp_path, slices=6, rows=16, columns=16, time_points=3, edit=say)
    assert "differ in DiffusionBValue" in refusal([path]).reason


def test_one_b_value_is_a_volume(tmp_path: Path) -> None:
    paths = [path for path in diffusion(tmp_path, _standard) if dcmread(path).DiffusionBValue == 1000]
    (grid,) = plan(gather([read_instance(path) for path in paths]), Accepts())
    assert grid.shape == (6, 16, 16)
