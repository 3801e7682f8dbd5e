"""``orchestrator models check``: boxes, points and images must lie where they lay, however the series is stored."""

from __future__ import annotations

import re

import pytest

from orchestrator.app.models.contract import Mark
from tests.integration.app.models.conftest import Examined
from tests.integration.app.models.test_contract import TURNED, failed

FLIPPED = {"slices and columns reversed", "rows and columns reversed"}
SOUND = "volume.voxels > 300"
MIRRORED = "np.flip(volume.voxels, 2) > 300"
NOT_TURNED_BACK = "(volume.voxels[:, :, ::-1] if volume.affine[0, 2] > 0 else volume.voxels) > 300"

EACH_SLICE = "[box(index, mask[index]) for index in shown]"
LARGEST_SLICE = "[box(index, mask[index]) for index in sorted(shown, key=lambda index: -mask[index].sum())[:1]]"
CENTRES = "[Region.point(index, *np.argwhere(mask[index]).mean(axis=0)) for index in shown]"
FROM_THE_FIRST = "[box(number, mask[index]) for number, index in enumerate(shown)]"
ANYWHERE = "[Region.point(index, 0, 40 * np.random.default_rng().random()) for index in shown[:1]]"
SCORED_BY_PLACE = "[box(index, mask[index], score=index / len(mask)) for index in shown]"


def pointing(marked: str, regions: str = "()", images: str = "()") -> str:
    """Return a model whose one finding has these regions or images of the slices on which a mask shows."""
    return f"""
        def box(index, plane, score=None):
            (top, left), *_, (bottom, right) = np.sort(np.argwhere(plane), axis=0)
            return Region.box(index, top, left, bottom, right, score=score)

        class Model(Subject):
            def predict(self, volume):
                mask = {marked}
                shown = [int(index) for index in np.flatnonzero(mask.any(axis=(1, 2)))]
                there = Presence.PRESENT if shown else Presence.ABSENT
                return Result(findings=[Finding(codes["fracture"], there, regions={regions}, images={images})])
    """


@pytest.mark.parametrize(
    "how",
    [
        {"regions": EACH_SLICE},
        {"regions": LARGEST_SLICE},
        {"regions": CENTRES},
        {"images": "[ImageScore(index, 0.9) for index in shown]"},
    ],
    ids=["boxes", "one box", "points", "images"],
)
def test_places_that_stay_in_the_patient_pass(how: dict[str, str], examined: Examined) -> None:
    clauses = examined(pointing(SOUND, **how))
    assert failed(clauses) == set()
    assert {clauses[name].mark for name in (*TURNED, "multi-frame", "known lesion")} == {Mark.PASSED}
    assert "is on the bright lesion" in clauses["known lesion"].says
    assert clauses["one slice"].says == "finds Fracture"


def test_boxes_that_are_mirrored_in_each_series_are_found_by_the_known_lesion(examined: Examined) -> None:
    clauses = examined(pointing(MIRRORED, EACH_SLICE))
    assert {"known lesion", "cut along its columns"} <= failed(clauses) <= {"known lesion", *TURNED}
    assert "the bright lesion mirrored left-right" in clauses["known lesion"].says


def test_boxes_that_were_not_turned_back_are_called_mirrored(examined: Examined) -> None:
    clauses = examined(pointing(NOT_TURNED_BACK, EACH_SLICE))
    assert failed(clauses) >= FLIPPED
    assert "mirrored left-right" in clauses["rows and columns reversed"].says
    assert "read Volume.affine" in clauses["rows and columns reversed"].says


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            {"regions": FROM_THE_FIRST},
            r"a place of 'Fracture' is at slice \d, rows [^:]* and should be at slice \d\d, rows .* towards the head",
        ),
        (
            {"images": "[ImageScore(number, 0.9) for number, _ in enumerate(shown)]"},
            r"an image of 'Fracture' is at slice \d and should be at slice \d\d, it lies \d+ mm towards the head",
        ),
    ],
    ids=["boxes", "images"],
)
def test_a_model_that_counts_slices_from_its_first_is_found(how: dict[str, str], says: str, examined: Examined) -> None:
    clauses = examined(pointing(SOUND, **how))
    assert "slices and columns reversed" in failed(clauses)
    assert re.search(says, clauses["slices and columns reversed"].says)


def test_the_score_of_a_box_must_not_depend_on_the_order_of_the_slices(examined: Examined) -> None:
    clauses = examined(pointing(SOUND, SCORED_BY_PLACE))
    assert failed(clauses) == {"slices and columns reversed"}
    assert "the score of a place of 'Fracture' at slice " in clauses["slices and columns reversed"].says


def test_a_point_that_differs_from_run_to_run_is_found(examined: Examined) -> None:
    clauses = examined(pointing(SOUND, ANYWHERE))
    assert failed(clauses) == {"same input, same result"}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("laterality=codes[side]", r"the findings are \['Left Fracture'\], and \['Right Fracture'\] here"),
        ("score=0.9 if side == 'left' else None", "the score of 'Fracture' is 0.900, and none here"),
    ],
)
def test_a_finding_must_not_change_sides_or_lose_its_score(said: str, says: str, examined: Examined) -> None:
    clauses = examined(f"""
        class Model(Subject):
            def predict(self, volume):
                columns = np.flatnonzero((volume.voxels > 300).any(axis=(0, 1)))
                side = "left" if columns.size and columns.mean() > volume.shape[2] / 2 else "right"
                return Result(findings=[Finding(codes["fracture"], {said})])
    """)
    assert "rows and columns reversed" in failed(clauses)
    assert re.search(says, clauses["rows and columns reversed"].says)
