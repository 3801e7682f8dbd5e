"""What is no Result on its input's grid is refused with the first fault by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import concepts
from orchestrator.domain.checks import check_result
from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import (
    Finding,
    HeatMap,
    ImageScore,
    Measurement,
    Presence,
    Region,
    Result,
    Segment,
    Shape,
)

SHAPE = (3, 8, 10)
FULL = np.ones(SHAPE, bool)
NOTHING = np.zeros(SHAPE, np.uint8)
LIVER = Segment("Liver", FULL, codes["liver"])
NODULE = Finding(codes["nodule"])
MEAN = Measurement(codes["mean"], 1.5, "mm")
HEAT = HeatMap("Likelihood", np.full(SHAPE, 0.5, np.float32), range=(0, 1))


def result(*parts: Any, **others: Any) -> Result:
    kinds = {Segment: "segments", Finding: "findings", Measurement: "measurements", HeatMap: "maps"}
    sorted_parts: dict[str, list[Any]] = {name: [] for name in kinds.values()}
    for part in parts:
        sorted_parts[kinds[type(part)]].append(part)
    return Result(**sorted_parts, **others)


def test_a_sound_result_passes() -> None:
    places = [Region.box(0, 0, 0, 7, 9, score=0.5, label="left"), Region.point(2, -0.5, 9.5)]
    check_result(
        result(
            LIVER,
            replace(LIVER, label="Empty", mask=NOTHING, colour=(0, 128, 255), laterality=concepts.LEFT),
            replace(NODULE, regions=places, score=np.float32(0.25), segment="Liver"),
            replace(NODULE, presence=Presence.ABSENT, segment="Empty", certainty_percent=99),
            replace(NODULE, images=[ImageScore(0, 0.5), ImageScore(2, np.float32(1))]),  # type: ignore[arg-type]
            replace(MEAN, segment="Liver", method="by hand"),
            HEAT,
            replace(HEAT, name="Diffusion", values=np.ones(SHAPE), unit="mm2/s", quantity=codes["mean"], range=None),
            notes={"grid": "1 mm"},
        ),
        SHAPE,
    )


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (None, "NoneType, expected Result"),
        ({"segments": []}, "dict, expected Result"),
        (Result(segments=["liver"]), "segment 1 is str"),  # type: ignore[list-item]
        (result(replace(LIVER, mask=FULL[1:])), "shape (2, 8, 10), expected the volume's (3, 8, 10)"),
        (result(replace(LIVER, mask=FULL.astype(np.float32))), "type float32"),
        (result(replace(LIVER, mask=FULL.astype(np.uint8) * 3)), "holds the value 3"),
        (result(replace(LIVER, mask=FULL.tolist())), "is list"),
        (result(LIVER, LIVER), "two segments are labelled 'Liver'"),
        (result(replace(LIVER, label="")), "1 to 64 characters"),
        (result(replace(LIVER, label="x" * 65)), "1 to 64 characters"),
        (result(replace(LIVER, label="Liver ")), "blanks at its ends"),
        (result(replace(LIVER, label="\ud800")), "1 to 64 characters"),
        (result(replace(LIVER, label="a\\b")), "without backslash"),
        (result(replace(LIVER, label="a\nb")), "control characters"),
        (result(replace(LIVER, type="liver")), "is str, expected Code"),
        (result(replace(LIVER, type=Code("", "SCT", "Liver"))), "expected a code value"),
        (result(replace(LIVER, type=Code("1", "SCT", ""))), "without a meaning"),
        (result(replace(LIVER, type=Code("1", "a scheme too long", "Liver"))), "at most 16 characters"),
        (result(replace(LIVER, laterality=codes["liver"])), "expected a code of CID 244"),
        (result(replace(LIVER, colour=(1, 2, 300))), "three numbers in 0..255"),
        (result(replace(NODULE, score=1.2)), "the score of finding 1 is 1.2, expected 0..1"),
        (result(replace(NODULE, score=float("nan"))), "finite"),
        (result(replace(NODULE, score=True)), "finite number"),
        (result(replace(NODULE, certainty_percent=101)), "expected 0..100"),
        (result(replace(NODULE, presence="present")), "expected a Presence"),
        (result(replace(NODULE, urgency="now")), "expected an Urgency"),
        (result(replace(NODULE, segment="Lung")), "refers to segment 'Lung', known are []"),
        (result(replace(LIVER, mask=NOTHING), replace(NODULE, segment="Liver")), "its segment 'Liver' is empty"),
        (result(LIVER, replace(NODULE, segment="Liver", presence=Presence.ABSENT)), "absent but has a place"),
        (result(replace(NODULE, presence=Presence.ABSENT, regions=[Region.point(0, 1, 1)])), "absent but has a place"),
        (result(replace(NODULE, presence=Presence.ABSENT, images=[ImageScore(0, 0.1)])), "absent but has a place"),
        (result(replace(NODULE, images=[ImageScore(3, 0.5)])), "image 1 of finding 1 is on slice 3, expected 0..2"),
        (result(replace(NODULE, images=[ImageScore(0, 1.5)])), "score of image 1 of finding 1 is 1.5, expected 0..1"),
        (result(replace(NODULE, images=[ImageScore(0, None)])), "has no score"),  # type: ignore[arg-type]
        (result(replace(NODULE, images=[2])), "image 1 of finding 1 is int, expected ImageScore"),
        (result(replace(NODULE, images=[ImageScore(0, 0.5), ImageScore(0, 0.6)])), "names an image twice"),
        (result(LIVER, replace(NODULE, images=[ImageScore(0, 0.5)], segment="Liver")), "names whole images"),
        (result(replace(MEAN, value=float("inf"))), "finite"),
        (result(replace(MEAN, value=None)), "no value"),
        (result(replace(MEAN, unit="HU")), "did you mean"),
        (result(replace(MEAN, unit=3)), "is not text"),
        (result(replace(MEAN, segment="Lung")), "known are []"),
        (result(replace(HEAT, values=FULL[1:] * 0.5)), "values of map 'Likelihood' have the shape (2, 8, 10)"),
        (result(replace(HEAT, values=FULL)), "the type bool, expected numbers"),
        (result(replace(HEAT, values=[[[0.5]]])), "are list, expected a numpy array"),
        (result(replace(HEAT, values=np.full(SHAPE, np.nan))), "not a finite number"),
        (result(replace(HEAT, values=np.full(SHAPE, 1e39))), "not a finite number"),
        (result(HEAT, HEAT), "two maps are named 'Likelihood'"),
        (result(replace(HEAT, name="")), "a label of map 1 must be text of 1 to 64 characters"),
        (result(replace(HEAT, unit="HU")), "the unit of map 'Likelihood': 'HU' is not a UCUM unit - did you mean"),
        (result(replace(HEAT, quantity="likelihood")), "quantity of map 'Likelihood' is str, expected Code"),
        (result(replace(HEAT, range=(1, 0))), "is 1 to 0, expected the lowest value first"),
        (result(replace(HEAT, range=(0, float("inf")))), "the range of map 'Likelihood' is inf"),
        (result(replace(HEAT, range=0.5)), "expected (lowest, highest)"),
        (Result(maps=["heat"]), "map 1 is str, expected HeatMap"),  # type: ignore[list-item]
        (result(notes={"grid": "x" * 1025}), "at most 1024 characters"),
        (result(notes={"grid": "a\nb"}), "printable"),
        (result(notes=["grid"]), "expected a mapping"),
    ],
)
def test_a_fault_is_named(wrong: Any, fault: str) -> None:
    with pytest.raises(InvalidResult) as refused:
        check_result(wrong, SHAPE)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    "region",
    [
        Region.point(3, 0, 0),
        Region.point(-1, 0, 0),
        Region.point(0, 7.6, 0),
        Region.point(0, 0, -0.6),
        Region.point(0, float("nan"), 0),
        Region(0, np.zeros((2, 2)), Shape.POLYGON),
        Region(0, np.zeros((8191, 2)), Shape.POLYGON),
        Region(0, np.zeros((2, 2)), Shape.POINT),
        Region(0, np.zeros((3, 3)), Shape.POLYGON),
        Region(0, np.zeros(4), Shape.POLYGON),
        Region.point(0, 0, 0, score=2.0),
        Region.point(0, 0, 0, label="a\\b"),
    ],
    ids=str,
)
def test_a_region_that_leaves_its_image_or_is_no_shape_is_refused(region: Region) -> None:
    with pytest.raises(InvalidResult, match="region 1 of finding 1"):
        check_result(result(replace(NODULE, regions=[region])), SHAPE)


@given(label=st.text(st.characters(), max_size=80))
def test_a_label_that_passes_fits_a_dicom_long_string(label: str) -> None:
    try:
        check_result(result(replace(LIVER, label=label)), SHAPE)
    except InvalidResult:
        return
    assert 0 < len(label.strip()) <= len(label) <= 64
    assert "\\" not in label
    assert not any(ord(character) < 32 for character in label)
