"""Images that look like one stack and are not."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.dicom import gather, plan
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.domain.series import Instance
from tests.data.instances import image, images

MR = "1.2.840.10008.5.1.4.1.1.4"


def refusal(instances: list[Instance], geometry: Geometry = Geometry.VOLUME) -> UnsupportedInput:
    with pytest.raises(UnsupportedInput) as raised:
        plan(gather(instances), Accepts(geometry=geometry))
    return raised.value


def two(keyword: str, *values: Any, step: float = 1.5) -> list[Instance]:
    """Return slices that alternate between these values."""
    return [image(number, step * number, **{keyword: values[number % len(values)]}) for number in range(1, 9)]


@pytest.mark.parametrize("geometry", [Geometry.VOLUME, Geometry.STACK])
@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("ConvolutionKernel", ("STANDARD", "BONEPLUS")),
        ("ConvolutionKernel", (("I30f", "3"), ("I70f", "3"))),
        ("KVP", (80.0, 140.0)),
        ("SliceThickness", (1.0, 5.0)),
        ("ReconstructionDiameter", (200.0, 350.0)),
        ("ImageType", (("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "P"))),
        ("EchoTime", (10.0, 80.0)),
        ("FilterType", ("A", "B")),
    ],
    ids=str,
)
def test_slices_that_alternate_between_two_reconstructions_are_refused(keyword: str, values, geometry) -> None:
    found = refusal(two(keyword, *values), geometry)
    assert found.fault is InputFault.SEVERAL_RECONSTRUCTIONS
    assert keyword in found.reason


def test_two_kernels_are_refused_even_side_by_side() -> None:
    stack = [image(number, 3.0 * number, ConvolutionKernel="SOFT" if number < 5 else "BONE") for number in range(9)]
    found = refusal(stack)
    assert found.fault is InputFault.SEVERAL_RECONSTRUCTIONS
    assert "SOFT, BONE" in found.reason


@pytest.mark.parametrize(
    "headers",
    [
        lambda number: {"SliceThickness": 2.0 if number < 5 else 4.0},
        lambda number: {"EchoTime": 30.0 + number % 3 / 1000},
        lambda number: {"AcquisitionNumber": 1 + number % 2},
        lambda number: {"KVP": 120.0} if number % 2 else {},
        lambda _: {"ConvolutionKernel": ("I30f", "3")},
    ],
    ids=[
        "thin below, thick above",
        "jitter",
        "interleaved acquisition",
        "not stated in each",
        "one kernel of two parts",
    ],
)
def test_usual_differences_within_one_reconstruction_are_no_fault(headers) -> None:
    (grid,) = plan(gather([image(number, 3.0 * number, **headers(number)) for number in range(9)]), Accepts())
    assert grid.shape[0] == 9


@pytest.mark.parametrize("geometry", Geometry)
@pytest.mark.parametrize("times", [1, 3])
def test_a_mosaic_is_refused_by_name(times: int, geometry: Geometry) -> None:
    kind = ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC")
    places = [100.0 + 0.2 * time for time in range(times)]  # the position follows the head
    found = refusal(images(*places, sop_class=MR, Modality="MR", ImageType=kind, SliceThickness=3.0), geometry)
    assert found.fault is InputFault.MOSAIC
    assert "1.2.3.1" in found.reason


def test_slices_that_were_split_from_a_mosaic_are_read() -> None:
    kind = ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC")
    split = images(0, 3, 6, 9, sop_class=MR, Modality="MR", ImageType=kind, SliceThickness=3.0)
    (grid,) = plan(gather(split), Accepts())
    assert grid.shape[0] == 4
