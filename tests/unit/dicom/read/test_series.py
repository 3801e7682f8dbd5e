"""What a series tells rules, whom a model is for, and what hints that all has arrived."""

from dataclasses import replace

import pytest

from orchestrator.dicom import check_intended, expected_count, gap_free, gather, is_image, machine_written
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.model import Intended
from tests.data.instances import images


def refusal(instances, **intended) -> str:
    with pytest.raises(UnsupportedInput) as refused:
        check_intended(gather(instances), Intended(**intended))
    assert refused.value.fault is InputFault.OUTSIDE_INTENDED_USE
    return refused.value.reason


def test_facts_are_the_distinct_values_over_all_instances():
    first, second = images(0, 3)
    second = replace(second, headers={**second.headers, "SeriesDescription": ("thin",), "KVP": (120.0,)})
    facts = gather([first, second]).facts
    assert facts["InstanceNumber"] == (1, 2)
    assert facts["SeriesDescription"] == ("thin",)
    assert facts["Modality"] == ("CT",)


def test_host_facts_are_counted_and_measured():
    facts = gather(images(0, 3, 6), host_facts={"Source": ("receiver",), "CallingAETitle": ("CT1",)}).facts
    found = {key: facts[key] for key in ("InstanceCount", "FrameCount", "SliceSpacing", "Orientation", "TimePoints")}
    assert found == {
        "InstanceCount": (3,),
        "FrameCount": (3,),
        "SliceSpacing": (3.0,),
        "Orientation": ("axial",),
        "TimePoints": (1,),
    }
    assert (facts["Source"], facts["CallingAETitle"]) == (("receiver",), ("CT1",))


def test_a_series_has_at_least_one_instance():
    with pytest.raises(ValueError, match="at least one"):
        gather([])


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
        ("1.2.840.10008.5.1.4.1.1.30", "MR"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"),
        ("1.2.840.10008.5.1.4.1.1.4.2", "MR"),
        ("1.2.840.10008.5.1.4.1.1.200.2", "CT"),
        ("1.2.840.10008.5.1.4.1.1.2", "SEG"),
    ],
)
def test_what_is_no_image_is_neither_read_nor_matched(sop_class, modality):
    (instance,) = images(0, sop_class=sop_class, Modality=modality)
    assert not is_image(instance)
    assert machine_written(instance)
    assert gather([instance]).facts["MachineWritten"] == ("yes",)


def test_what_a_scanner_made_is_an_image_and_not_machine_written():
    (instance,) = images(0)
    assert is_image(instance)
    assert not machine_written(instance)
    assert "MachineWritten" not in gather([instance]).facts


def test_headers_alone_tell_what_is_machine_written():
    assert machine_written({"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.88.11",)})
    assert not machine_written({"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2",), "Modality": ("CT",)})


@pytest.mark.parametrize("places", [(0, 3, 6), (6, 3, 0), (0, 3)])
def test_equal_gaps_and_contiguous_numbers_are_gap_free(places):
    assert gap_free(images(*places))


@pytest.mark.parametrize("places", [(), (0,), (0, 3, 9), (0, 3, 3), (0, 0)])
def test_a_gap_a_duplicate_or_one_image_is_not_gap_free(places):
    assert not gap_free(images(*places))


def test_numbers_with_a_gap_are_not_gap_free():
    assert not gap_free([images(0, 3, 6)[index] for index in (0, 1)] + [images(0, 0, 0, 6)[3]])


def test_images_without_a_place_are_not_gap_free():
    assert not gap_free([replace(image, plane=None) for image in images(0, 3)])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ImagesInAcquisition": 3}, 3),
        ({"ImagesInAcquisition": 40}, 40),
        ({"ImagesInAcquisition": 2}, None),
        ({"ImagesInAcquisition": "many"}, None),
        ({}, None),
    ],
)
def test_the_number_of_images_in_the_acquisition_is_expected(headers, expected):
    assert expected_count(images(0, 3, 6, **headers)) == expected


def test_several_acquisitions_tell_no_count():
    first, second = images(0, 3, ImagesInAcquisition=2)
    other = replace(second, headers={**second.headers, "AcquisitionNumber": (2,)})
    assert expected_count([first, other]) is None
    assert expected_count([]) is None


@pytest.mark.parametrize(
    ("intended", "headers"),
    [
        ({"modality": ("CT",)}, {}),
        ({"body_part": ("CHEST",)}, {"BodyPartExamined": "chest"}),
        ({"sex": ("F",)}, {"PatientSex": "F"}),
        ({"contrast": True}, {"ContrastBolusAgent": "Iohexol"}),
        ({"contrast": False}, {}),
        ({"minimum_age_years": 18}, {"PatientBirthDate": "20000101", "StudyDate": "20180101"}),
        ({"maximum_age_years": 80}, {"PatientBirthDate": "19400102", "StudyDate": "20210101"}),
        ({"maximum_age_years": 80}, {"PatientAge": "080Y"}),
        ({"minimum_age_years": 18}, {"PatientAge": "018Y", "PatientBirthDate": "unknown", "StudyDate": "20180101"}),
        ({"maximum_age_years": 0.5}, {"PatientAge": "005M"}),
    ],
    ids=str,
)
def test_a_series_that_the_model_is_meant_for_passes(intended, headers):
    check_intended(gather(images(0, 3, **headers)), Intended(**intended))


@pytest.mark.parametrize(
    ("intended", "headers", "reason"),
    [
        ({"modality": ("MR",)}, {}, "the modality is CT, the model is for MR"),
        ({"body_part": ("HEAD", "BRAIN")}, {}, "the body part is unknown, the model is for HEAD or BRAIN"),
        ({"body_part": ("HEAD",)}, {"BodyPartExamined": "CHEST"}, "the body part is CHEST, the model is for HEAD"),
        ({"sex": ("F",)}, {"PatientSex": "M"}, "the sex differs, the model is for F"),
        ({"contrast": True}, {}, "the model is for images with contrast, these are without"),
        (
            {"minimum_age_years": 18},
            {"PatientBirthDate": "20000102", "StudyDate": "20180101"},
            "the age is below 18",
        ),
        ({"maximum_age_years": 80}, {"PatientBirthDate": "19400101", "StudyDate": "20210101"}, "the age is above 80"),
        ({"maximum_age_years": 0.5}, {"PatientAge": "007M"}, "the age is above 0.5"),
        ({"minimum_age_years": 18}, {}, "the age is unknown, and the model has age limits"),
        (
            {"minimum_age_years": 18},
            {"PatientAge": "old"},
            "the age is unknown, and the model has age limits",
        ),
    ],
    ids=str,
)
def test_a_series_outside_the_intended_use_is_refused_with_a_sentence(intended, headers, reason):
    assert refusal(images(0, 3, **headers), **intended) == reason


def test_a_refusal_never_tells_the_age_itself():
    assert "17" not in refusal(images(0, PatientAge="017Y"), minimum_age_years=18)
