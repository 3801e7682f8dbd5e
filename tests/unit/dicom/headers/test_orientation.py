"""The letters at the edges of an image say which way of the patient they are."""

from __future__ import annotations

import pytest

from orchestrator.dicom.headers.orientation import letters_of, opposite, orientation_letters

AXIAL, SAGITTAL, CORONAL = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)
TILTED = (1, 0, 0, 0, 0.951, -0.309)  # a head CT at 18 degrees
OBLIQUE = (0.707, 0.707, 0, 0, 0, -1)


@pytest.mark.parametrize(
    ("cosines", "letters"),
    [
        (AXIAL, ("L", "P")),
        (SAGITTAL, ("P", "F")),
        (CORONAL, ("L", "F")),
        (TILTED, ("L", "PF")),
        (OBLIQUE, ("LP", "F")),
        ((-1, 0, 0, 0, -1, 0), ("R", "A")),
    ],
)
def test_direction_cosines_are_named_by_their_main_directions(
    cosines: tuple[float, ...], letters: tuple[str, str]
) -> None:
    assert letters_of(cosines) == letters
    assert orientation_letters({"ImageOrientationPatient": cosines}) == letters


def test_what_the_image_states_comes_first() -> None:
    headers = {"PatientOrientation": ("R", "F"), "ImageOrientationPatient": AXIAL}
    assert orientation_letters(headers) == ("R", "F")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"PatientOrientation": ("L",)},
        {"PatientOrientation": ("CD", "D")},  # an animal
        {"ImageOrientationPatient": (0.0,) * 6},
        {"ImageOrientationPatient": ("a", "b", "c", "d", "e", "f")},
    ],
)
def test_an_image_that_tells_no_direction_has_no_letters(headers: dict[str, tuple[object, ...]]) -> None:
    assert orientation_letters(headers) is None  # type: ignore[arg-type]


def test_opposite_letters() -> None:
    assert [opposite(letters) for letters in ("L", "PF", "A", "RH")] == ["R", "AH", "P", "LF"]
