"""Under one SOP Instance UID: a corrected image counts in its newest content, different images do not count at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dicom import newest_content, one_per_uid
from orchestrator.domain.images import LeftOut
from orchestrator.domain.series import Instance
from tests.data.instances import image

UID = "1.2.3.1"


def content(name: str, at: float = 0.0, number: int = 1, **headers: object) -> Instance:
    made = image(number, at, **headers)
    return replace(made, sop_uid=UID, digest=name.rjust(64, "0"), path=Path(f"/nowhere/{name}.dcm"))


def test_a_corrected_image_counts_in_its_newest_content() -> None:
    first, corrected = content("a"), content("b", PatientName="Corrected^Name", Laterality="R")
    assert newest_content(first, corrected) == corrected


def test_an_archive_may_rewrite_a_time() -> None:
    first, again = content("a", AcquisitionTime="101500"), content("b", AcquisitionTime="101500.000000")
    assert newest_content(first, again) == again


@pytest.mark.parametrize(
    "other",
    [
        content("b", at=0.5),
        content("b", number=2),
        content("b", EchoTime=90.0),
        content("b", DiffusionBValue=800.0),
        content("b", AcquisitionNumber=2),
        content("b", AcquisitionTime="101502"),
        content("b", ConvolutionKernel="BONE"),
        replace(content("b"), frames=20),
        replace(content("b"), sop_class="1.2.840.10008.5.1.4.1.1.88.33"),
    ],
    ids=["place", "number", "echo", "b-value", "acquisition", "time", "kernel", "frames", "class"],
)
def test_different_images_are_left_out(other: Instance) -> None:
    first = content(
        "a", EchoTime=30.0, DiffusionBValue=0.0, AcquisitionTime="101500", ConvolutionKernel="SOFT", AcquisitionNumber=1
    )
    shared = newest_content(first, other)
    assert (shared.left_out, shared.sop_uid) == (LeftOut.SHARED_UID, UID)
    assert shared.digest not in {first.digest, other.digest}


def test_pictures_without_a_place_are_told_apart_by_their_numbers() -> None:
    first, second = (replace(content(name, number=number), plane=None) for name, number in (("a", 1), ("b", 2)))
    assert newest_content(first, second).left_out is LeftOut.SHARED_UID
    assert newest_content(first, replace(first, digest="other", path=Path("/nowhere/b.dcm"))).left_out is None


def test_a_file_that_was_overwritten_is_no_second_image() -> None:
    first, later = content("a"), replace(content("b", at=30.0), path=content("a").path)
    assert newest_content(first, later) == later


def test_a_file_that_cannot_be_read_says_nothing_about_its_image() -> None:
    broken = replace(content("a", at=9.0), headers={}, plane=None, left_out=LeftOut.UNREADABLE)
    assert newest_content(broken, content("b")) == content("b")
    assert newest_content(content("b"), broken) == broken


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 3))
def test_any_two_places_under_one_uid_leave_it_out_in_any_order(places: list[int], copies: int) -> None:
    contents = [content(str(number), at=0.5 * at) for number, at in enumerate(places)]
    contents = [each for each in contents for _ in range(copies)]
    (one,) = one_per_uid(contents)
    if len(set(places)) > 1:
        assert one.left_out is LeftOut.SHARED_UID
        assert {each.digest for each in one_per_uid([*contents, contents[0]])} == {one.digest}
    else:
        assert one == contents[-1]
