"""The summary is what the SR says, no more and no less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.dicom import Grid, summarize
from orchestrator.domain.concepts import LEFT, codes
from orchestrator.domain.result import Finding, Measurement, Presence, Region, Result, Segment, Urgency
from tests.parts.dicom.written import (
    box,
    everything,
    image_by_image,
    images_beside_places,
    nothing,
    placeless,
    write_result,
)


def test_findings_come_with_what_is_said_of_them(ct: list[Path], tmp_path: Path) -> None:
    summary = summarize(write_result(ct, everything, tmp_path).objects)
    assert summary.findings == (
        {
            "name": "Neoplasm",
            "value": "present",
            "score": 0.7,
            "site": "Liver",
            "urgency": "urgent",
            "segment": "Lesion",
        },
        {"name": "Nodule", "value": "present", "score": 0.9},
        {"name": "Fracture", "value": "absent", "score": 0.02, "site": "Rib"},
    )


def test_measurements_name_their_segment(ct: list[Path], tmp_path: Path) -> None:
    measurements = summarize(write_result(ct, everything, tmp_path).objects).measurements
    said = [(each["name"], each["unit"], each.get("segment")) for each in measurements]
    assert said == [
        ("Volume", "ml", "Lesion"),
        ("Volume", "ml", "Liver"),
        ("Mean", "[hnsf'U]", "Liver"),
        ("Diameter", "mm", None),
    ]


def test_a_statement_without_a_place_is_read_alike(ct: list[Path], tmp_path: Path) -> None:
    summary = summarize(write_result(ct, placeless, tmp_path).objects)
    assert summary.findings == (
        {
            "name": "Pneumonia",
            "value": "present",
            "score": 0.6,
            "certainty_percent": 72.5,
            "site": "Lung",
            "urgency": "immediate",
        },
    )
    assert summary.measurements == ({"name": "Intracranial volume", "value": 1400.5, "unit": "ml"},)


@pytest.mark.parametrize("result_of", [image_by_image, images_beside_places])
def test_images_that_show_a_finding_are_named_with_their_scores(
    ct: list[Path], tmp_path: Path, result_of: Callable[[Grid], Result]
) -> None:
    done = write_result(ct, result_of, tmp_path)
    shown, absent = summarize(done.objects).findings
    first, last = (done.grids[0].frames[index].sop_uid for index in (0, -1))
    assert (shown["value"], shown["score"], shown["certainty_percent"]) == ("present", 0.875, 87.5)
    assert shown["images"] == [
        {"sop_uid": last, "frame": 1, "score": 0.875},
        {"sop_uid": first, "frame": 1, "score": 0.625},
    ]
    assert "images" not in absent


def test_an_area_that_a_model_measured_is_kept(ct: list[Path], tmp_path: Path) -> None:
    def measured(grid: Grid) -> Result:
        liver = Segment("Liver", box(grid), codes["liver"])
        return Result([liver], measurements=[Measurement(codes["area"], 12.0, "mm2", segment="Liver")])

    measurements = summarize(write_result(ct, measured, tmp_path).objects).measurements
    assert {"name": "Area", "value": 12.0, "unit": "mm2", "segment": "Liver"} in measurements


def test_nothing_found_is_an_empty_summary(ct: list[Path], tmp_path: Path) -> None:
    summary = summarize(write_result(ct, nothing, tmp_path).objects)
    assert (summary.findings, summary.measurements, summary.urgency) == ((), (), None)


@pytest.mark.parametrize("placed", [True, False])
def test_each_finding_keeps_its_own_side_and_urgency(ct: list[Path], tmp_path: Path, placed: bool) -> None:
    regions = [Region.point(0, 1, 30)] if placed else []
    said = [
        Finding(codes["nodule"], laterality=LEFT, urgency=Urgency.NON_URGENT, regions=regions),
        Finding(codes["mass"], regions=regions),
        Finding(codes["pneumothorax"], urgency=Urgency.URGENT, regions=regions, site=codes["lung"], laterality=LEFT),
    ]
    findings = summarize(write_result(ct, lambda _: Result(findings=said), tmp_path).objects).findings
    assert [each["name"] for each in findings] == ["Pneumothorax", "Nodule", "Mass"]
    assert [each.get("urgency") for each in findings] == ["urgent", "non-urgent", None]
    assert [each.get("laterality") for each in findings] == ["Left", "Left", None]


def test_the_urgency_of_a_job_is_the_highest_of_what_is_there(ct: list[Path], tmp_path: Path) -> None:
    said = [
        Finding(codes["mass"], urgency=Urgency.NON_URGENT),
        Finding(codes["nodule"], urgency=Urgency.URGENT),
        Finding(codes["pneumothorax"], Presence.ABSENT, urgency=Urgency.IMMEDIATE),
    ]
    summary = summarize(write_result(ct, lambda _: Result(findings=said), tmp_path).objects)
    assert summary.urgency is Urgency.URGENT
