"""How a mask differs is said in a person's words, with the patient's directions."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.testing import Lesion, Phantom, dice, difference

LESION = Lesion(centre_mm=(12.0, 14.0, 10.0), radii_mm=(6.0, 6.0, 6.0))
AXES = {0: "head-foot", 1: "front-back", 2: "left-right"}


def phantom(**parameters: object) -> Phantom:
    return Phantom(slices=20, rows=48, columns=40, spacing=(2.5, 1.5, 1.5), lesion=LESION, **parameters)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_a_mirrored_mask_is_named_by_the_patients_axes(axes: tuple[int, ...]) -> None:
    wanted = phantom().mask
    said = difference(np.flip(wanted, axes), wanted, phantom().affine)
    assert said == f"it is mirrored {' and '.join(AXES[axis] for axis in axes)}"


def test_the_axes_are_the_patients_and_not_the_arrays() -> None:
    sagittal = Phantom(slices=40, rows=40, columns=40, spacing=(1.5, 1.5, 1.5), orientation="sagittal", lesion=LESION)
    assert difference(sagittal.mask[::-1], sagittal.mask, sagittal.affine) == "it is mirrored left-right"


def test_images_without_a_place_are_mirrored_as_they_are_looked_at() -> None:
    wanted = np.zeros((1, 20, 20), bool)
    wanted[0, 2:6, 3:9] = True
    assert difference(wanted[:, ::-1], wanted, None) == "it is mirrored top-bottom"


@pytest.mark.parametrize(
    ("axis", "way"),
    [
        (0, "10 mm towards the head"),
        (1, "6 mm towards the back"),
        (2, "6 mm towards the left"),
    ],
)
def test_a_shifted_mask_is_told_with_its_direction(axis: int, way: str) -> None:
    wanted = phantom().mask
    said = difference(np.roll(wanted, 4, axis), wanted, phantom().affine)
    assert said == f"it has the right size, {wanted.sum() * 5.625 / 1000:.3g} ml, its centre lies {way}"


def test_a_larger_mask_is_told_with_both_volumes() -> None:
    wanted = phantom().mask
    larger = wanted | np.roll(wanted, 1, 1) | np.roll(wanted, -1, 1)
    assert " ml instead of " in difference(larger, wanted, phantom().affine)


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [(False, True, "nothing is marked"), (True, False, "something is marked where nothing should be")],
)
def test_a_mask_that_is_empty_or_should_be_is_told(found: bool, wanted: bool, said: str) -> None:
    assert difference(np.full((2, 2, 2), found), np.full((2, 2, 2), wanted), None) == said


def test_two_empty_masks_agree() -> None:
    assert dice(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))) == 1.0


def test_masks_of_numbers_agree_with_masks_of_truth_values() -> None:
    assert dice(phantom().mask.astype(np.uint8), phantom().mask) == 1.0
