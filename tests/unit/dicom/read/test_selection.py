"""One stray object in a series does not decide for the series: it is left out by name, and the images are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dicom import gap_free, gather, plan
from orchestrator.dicom.read.selection import select
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.images import ImageCount, LeftOut
from orchestrator.domain.model import Accepts
from orchestrator.domain.series import Instance
from tests.data.instances import image, images

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STRAYS = {
    "a localizer": (LeftOut.LOCALIZER, {"ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")}),
    "a scout": (LeftOut.LOCALIZER, {"ImageType": ("DERIVED", "PRIMARY", "SCOUT")}),
    "a screenshot": (LeftOut.SCREEN_CAPTURE, {"ImageType": ("DERIVED", "SECONDARY", "SCREEN SAVE")}),
    "a dose page": (LeftOut.SCREEN_CAPTURE, {"sop_class": CAPTURE}),
    "a page of several": (LeftOut.SCREEN_CAPTURE, {"sop_class": f"{CAPTURE}.4"}),
    "a colour picture": (
        LeftOut.SCREEN_CAPTURE,
        {"ImageType": ("DERIVED", "SECONDARY"), "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
    ),
    "outlines": (LeftOut.NO_IMAGE, {"sop_class": "1.2.840.10008.5.1.4.1.1.481.3", "Modality": "RTSTRUCT"}),
    "a key object": (LeftOut.NO_IMAGE, {"sop_class": "1.2.840.10008.5.1.4.1.1.88.59", "Modality": "KO"}),
    "a presentation": (LeftOut.NO_IMAGE, {"sop_class": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}),
    "a segmentation": (LeftOut.NO_IMAGE, {"sop_class": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "SEG"}),
    "a report": (LeftOut.NO_IMAGE, {"sop_class": "1.2.840.10008.5.1.4.1.1.88.33", "Modality": "SR"}),
    "a program's image": (LeftOut.MACHINE_WRITTEN, {"MachineWritten": "yes"}),
}


def with_stray(name: str, modality: str = "CT", count: int = 20) -> list[Instance]:
    headers = {"Modality": modality} | STRAYS[name][1]
    sop_class = str(headers.pop("sop_class", "1.2.840.10008.5.1.4.1.1.2"))
    stray = image(99, 200.0, sop_class=sop_class, **headers)
    return [stray, *images(*(3.0 * number for number in range(count)), Modality=modality)]


def reasons(instances: list[Instance]) -> dict[str, LeftOut]:
    return {each.sop_uid: each.left_out for each in select(instances) if each.left_out is not None}


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_is_left_out_and_decides_nothing(name: str, modality: str) -> None:
    series, alone = gather(with_stray(name, modality)), gather(with_stray(name, modality)[1:])
    assert series.facts == alone.facts
    assert series.count == ImageCount(21, 20, {"1.2.3.99": STRAYS[name][0]})
    (grid,) = plan(series, Accepts())
    assert (grid.shape[0], grid.count) == (20, series.count)
    assert gap_free(series.instances)


@pytest.mark.parametrize("name", STRAYS)
def test_a_series_of_strays_alone_is_read_as_it_is(name: str) -> None:
    strays = with_stray(name)[:1]
    assert reasons(strays) == {}
    assert gather(strays).facts["Modality"] == strays[0].headers["Modality"]


@pytest.mark.parametrize("modality", ["US", "CR", "DX", "MG", "XA"])
def test_a_screen_capture_beside_pictures_is_one_more_picture(modality: str) -> None:
    pictures = [replace(each, plane=None) for each in with_stray("a dose page", modality, count=3)]
    assert reasons(pictures) == {}


def test_localizers_and_a_dose_page_without_slices_are_localizers() -> None:
    scouts = images(0.0, 3.0, ImageType=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    page = image(9, 0.0, sop_class=CAPTURE)
    assert reasons([*scouts, page]) == {page.sop_uid: LeftOut.SCREEN_CAPTURE}


def seam(shared: int, *, of: int = 20, **second: object) -> list[Instance]:
    """Return two acquisitions of one stack that share this number of places."""
    first = images(*(2.0 * place for place in range(of // 2 + shared)), AcquisitionNumber=2)
    places = range(of // 2, of)
    return [
        *first,
        *(image(100 + place, 2.0 * place, **{"AcquisitionNumber": 3} | second) for place in places),
    ]


def test_of_a_shared_slice_at_the_seam_the_larger_acquisition_counts() -> None:
    instances = seam(1)
    assert reasons(instances) == {"1.2.3.110": LeftOut.SAME_PLACE}
    assert plan(gather(instances), Accepts())[0].shape[0] == 20


@pytest.mark.parametrize(
    ("shared", "second"),
    [
        (5, {}),
        (1, {"ConvolutionKernel": "BONE"}),
        (1, {"EchoTime": 90.0}),
        (1, {"DiffusionBValue": 800.0}),
        (1, {"AcquisitionNumber": None}),
    ],
    ids=["a quarter of the stack", "another kernel", "another echo", "another b-value", "no acquisition"],
)
def test_what_is_more_than_a_seam_is_refused(shared: int, second: dict[str, object]) -> None:
    instances = seam(shared, **second)
    assert reasons(instances) == {}
    with pytest.raises(UnsupportedInput) as refusal:
        plan(gather(instances), Accepts())
    assert refusal.value.fault in {InputFault.DUPLICATE_POSITION, InputFault.SEVERAL_TIME_POINTS}


def test_a_copy_under_another_uid_is_left_out() -> None:
    originals = images(0.0, 3.0, 6.0)
    copies = [replace(each, sop_uid=f"{each.sop_uid}.1") for each in originals]
    assert reasons([*originals, *copies]) == dict.fromkeys((each.sop_uid for each in copies), LeftOut.SAME_PLACE)


def test_time_points_with_equal_pixels_are_no_copies() -> None:
    first = [replace(each, digest="same") for each in images(0.0, 3.0, TemporalPositionIdentifier=1)]
    second = {"TemporalPositionIdentifier": (2,)}
    later = [replace(each, sop_uid=f"{each.sop_uid}.2", headers={**each.headers, **second}) for each in first]
    assert reasons([*first, *later]) == {}


def test_a_refusal_says_what_was_left_out() -> None:
    broken = replace(image(2, 3.0), left_out=LeftOut.UNREADABLE)
    with pytest.raises(UnsupportedInput) as refusal:
        plan(gather([*images(0.0), broken, image(3, 6.0), image(4, 9.0), image(5, 12.0)]), Accepts())
    assert refusal.value.fault is InputFault.MISSING_SLICE
    assert refusal.value.reason.endswith("; 1 of 5 received images left out: 1 image that cannot be read (1.2.3.2)")


def test_a_localizer_of_another_patient_is_no_stray_of_this_one() -> None:
    scout = image(9, 0.0, ImageType=("ORIGINAL", "PRIMARY", "LOCALIZER"), PatientID="OTHER")
    with pytest.raises(UnsupportedInput) as refusal:
        plan(gather([scout, *images(0.0, 3.0)]), Accepts())
    assert refusal.value.fault is InputFault.MIXED_PATIENT


def test_a_series_with_a_shared_uid_is_refused_by_name() -> None:
    first, *others = images(0.0, 3.0, 6.0)
    series = gather([replace(first, left_out=LeftOut.SHARED_UID), *others])
    assert series.facts["Modality"] == ("CT",)
    sentence = f"different images have the SOP Instance UID {first.sop_uid}"
    with pytest.raises(UnsupportedInput, match=sentence) as refusal:
        plan(series, Accepts())
    assert refusal.value.fault is InputFault.SHARED_UID


@given(
    st.lists(st.sampled_from([*STRAYS, "a slice", "a broken file"]), min_size=1, max_size=12),
    st.sampled_from(["CT", "MR", "US"]),
    st.randoms(use_true_random=False),
)
def test_every_instance_is_read_or_left_out_exactly_once(names: list[str], modality: str, random: object) -> None:
    instances = []
    for number, name in enumerate(names, start=1):
        made = with_stray(name, modality)[0] if name in STRAYS else image(number, 3.0 * number, Modality=modality)
        left_out = LeftOut.UNREADABLE if name == "a broken file" else None
        instances.append(replace(made, sop_uid=f"1.2.3.{number}", left_out=left_out))
    random.shuffle(instances)  # type: ignore[attr-defined]
    series = gather(instances)
    count = series.count
    assert Counter([*count.left_out, *(each.sop_uid for each in series.images)]) == Counter(
        each.sop_uid for each in instances
    )
    assert count.received == len(instances) == count.read + len(count.left_out)
    assert ImageCount.from_json(count.to_json()) == count
    assert count.read or set(count.left_out.values()) == {LeftOut.UNREADABLE}
    assert select(series.instances) == series.instances
