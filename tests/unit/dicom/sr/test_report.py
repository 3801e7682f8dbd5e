"""What the SR says, and how: scores are scores, absence names no finding, places are bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from orchestrator.dicom import Grid
from orchestrator.dicom.result.grid_result import MOST_PLACES
from orchestrator.dicom.sr.text_report import UNVERIFIED_STATEMENT
from orchestrator.dicom.view.summary import summary_of
from orchestrator.domain.concepts import LEFT, codes
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, ImageScore, Presence, Region, Result, Segment, Urgency
from tests.data.projection import cr_image
from tests.data.series import ct_series
from tests.parts.dicom.written import MODEL, detections, everything, image_by_image, nothing, placeless, write_result

SCORES = {"score", "region-score"}


def sr_of(ct: list[Path], folder: Path, result_of: Callable[[Grid], Result] = everything) -> Dataset:
    return write_result(ct, result_of, folder).read(ObjectKind.SR)


def items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from items(child)


def concept(item: Dataset) -> str:
    code = item.ConceptNameCodeSequence[0]
    return str(code.get("CodeValue") or code.get("LongCodeValue"))


def groups(document: Dataset) -> list[Dataset]:
    return [item for item in items(document) if item.ValueType == "CONTAINER" and concept(item) == "125007"]


def templates(document: Dataset) -> list[str]:
    return [group.ContentTemplateSequence[0].TemplateIdentifier for group in groups(document)]


def test_a_segment_has_its_volume_and_its_outline_in_two_groups_of_one_tracking_uid(
    ct: list[Path], tmp_path: Path
) -> None:
    document = sr_of(ct, tmp_path)
    uids = [
        next(item.UID for item in group.ContentSequence if item.ValueType == "UIDREF") for group in groups(document)
    ]
    assert templates(document)[:4] == ["1411", "1410", "1411", "1410"]
    assert (uids[0], uids[2]) == (uids[1], uids[3])


def test_one_group_has_one_region_and_no_volume_hangs_on_an_outline(ct: list[Path], tmp_path: Path) -> None:
    for group in groups(sr_of(ct, tmp_path)):
        regions = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
        volumes = [item for item in group.ContentSequence if concept(item) == "118565006"]
        assert len(regions) + len(volumes) <= 1


def test_absent_names_no_finding(ct: list[Path], tmp_path: Path) -> None:
    absent = [
        group
        for group in groups(sr_of(ct, tmp_path))
        if any(
            item.ValueType == "CODE" and item.ConceptCodeSequence[0].CodeValue == "272519000"
            for item in group.ContentSequence
        )
    ]
    assert len(absent) == 1
    assert "121071" not in {concept(item) for item in absent[0].ContentSequence}


def test_a_raw_output_is_a_score_and_no_certainty(ct: list[Path], tmp_path: Path) -> None:
    numbers = {concept(item) for item in items(sr_of(ct, tmp_path)) if item.ValueType == "NUM"}
    assert numbers & SCORES == SCORES
    assert "111012" not in numbers


def test_a_calibrated_certainty_is_one(ct: list[Path], tmp_path: Path) -> None:
    (certainty,) = [item for item in items(sr_of(ct, tmp_path, placeless)) if concept(item) == "111012"]
    measured = certainty.MeasuredValueSequence[0]
    assert (float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue) == (72.5, "%")


@pytest.mark.parametrize(
    ("urgency", "code"),
    [(Urgency.IMMEDIATE, "RID49480"), (Urgency.URGENT, "RID49481"), (Urgency.NON_URGENT, "RID49482")],
)
def test_urgency_is_a_category_of_cid_7035(ct: list[Path], tmp_path: Path, urgency: Urgency, code: str) -> None:
    finding = Finding(codes["pneumothorax"], urgency=urgency, regions=[Region.point(0, 1, 1)])
    stated = [
        item
        for item in items(sr_of(ct, tmp_path, lambda _: Result(findings=[finding])))
        if concept(item) == "actionable"
    ]
    assert [item.ConceptCodeSequence[0].CodeValue for item in stated] == [code]


def counts_of(document: Dataset) -> list[str]:
    """Return the comments that say how many places are not listed."""
    return [item.TextValue for item in items(document) if "are listed" in str(item.get("TextValue"))]


def test_only_the_best_places_are_written_and_the_rest_is_counted(tmp_path: Path) -> None:
    image = cr_image(tmp_path / "in")
    document = write_result([image], detections, tmp_path, geometry=Geometry.IMAGE).read(ObjectKind.SR)
    scores = [
        float(item.MeasuredValueSequence[0].NumericValue) for item in items(document) if concept(item) == "region-score"
    ]
    assert len(scores) == MOST_PLACES
    assert scores == sorted(scores, reverse=True)
    assert counts_of(document) == ["60 places found, the best 50 by score are listed"]


def test_the_text_says_in_how_many_images_a_finding_is(ct: list[Path], tmp_path: Path) -> None:
    said = [item.TextValue for item in items(sr_of(ct, tmp_path, image_by_image)) if item.ValueType == "TEXT"]
    assert "Pneumothorax: present in 2 of 8 images." in said


@pytest.mark.parametrize("beside", [[], [Finding(codes["nodule"], regions=[Region.point(0, 1, 1)])]])
def test_only_the_best_images_are_written_and_the_rest_is_counted(tmp_path: Path, beside: list[Finding]) -> None:
    images = [ImageScore(index, index / 64) for index in range(60)]
    found = Result(findings=[Finding(codes["pneumothorax"], images=images), *beside])
    document = sr_of(ct_series(tmp_path / "in", slices=60, rows=8, columns=8), tmp_path, lambda _: found)
    scores = [item for item in items(document) if concept(item) == "image-score"]
    assert len(scores) == MOST_PLACES
    assert counts_of(document) == ["60 images show it, the best 50 by score are listed"]


def test_coordinates_count_from_the_corner_of_the_image(ct: list[Path], tmp_path: Path) -> None:
    places = [Region.point(2, 0, 0), Region.box(2, -0.5, -0.5, 23.5, 31.5)]
    document = sr_of(ct, tmp_path, lambda _: Result(findings=[Finding(codes["nodule"], regions=places)]))
    drawn = [np.array(item.GraphicData).reshape(-1, 2) for item in items(document) if item.ValueType == "SCOORD"]
    assert drawn[0].tolist() == [[0.5, 0.5]]
    assert drawn[1].tolist() == [[0, 0], [32, 0], [32, 24], [0, 24], [0, 0]]


def test_a_region_refers_to_the_image_of_its_slice(ct: list[Path], tmp_path: Path) -> None:
    finding = Finding(codes["nodule"], regions=[Region.point(2, 1, 1)])
    done = write_result(ct, lambda _: Result(findings=[finding]), tmp_path)
    (drawn,) = [item for item in items(done.read(ObjectKind.SR)) if item.ValueType == "SCOORD"]
    assert drawn.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == done.grids[0].frames[2].sop_uid


def test_the_image_library_holds_only_what_is_referred_to(ct: list[Path], tmp_path: Path) -> None:
    finding = Finding(codes["nodule"], regions=[Region.point(2, 1, 1)])
    document = sr_of(ct, tmp_path, lambda _: Result(findings=[finding]))
    (library,) = [item for item in document.ContentSequence if concept(item) == "111028"]
    assert len([item for item in items(library) if item.ValueType == "IMAGE"]) == 1


def test_the_algorithm_is_named_with_its_parameters_weights_and_notes(ct: list[Path], tmp_path: Path) -> None:
    texts = {item.TextValue for item in items(sr_of(ct, tmp_path)) if concept(item) == "111002"}
    assert texts == {"threshold = 0.5", f"weights_sha256 = {MODEL.digest}", "grid = as the images"}


def test_the_observer_is_a_device_and_no_person(ct: list[Path], tmp_path: Path) -> None:
    document = sr_of(ct, tmp_path)
    observers = [item for item in document.ContentSequence if concept(item) == "121005"]
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in observers] == ["Device"]
    assert not [item for item in items(document) if item.ValueType == "PNAME"]


def test_what_was_looked_for_and_not_found_is_said(ct: list[Path], tmp_path: Path) -> None:
    assert "Looked for and not found: Cyst" in {item.get("TextValue") for item in sr_of(ct, tmp_path).ContentSequence}


def test_a_side_stands_with_its_site_or_by_itself(tmp_path: Path, ct: list[Path]) -> None:
    def sided(_: Grid) -> Result:
        with_site = Finding(codes["nodule"], site=codes["lung"], laterality=LEFT, regions=[Region.point(0, 1, 30)])
        return Result(findings=[with_site, Finding(codes["mass"], laterality=LEFT, regions=[Region.point(0, 2, 30)])])

    with_site, without = groups(sr_of(ct, tmp_path, sided))
    (site,) = [item for item in with_site.ContentSequence if concept(item) == "363698007"]
    assert concept(site.ContentSequence[0]) == "272741003"
    assert "272741003" in {concept(item) for item in without.ContentSequence}


def test_an_undetermined_finding_is_said_to_be_so(ct: list[Path], tmp_path: Path) -> None:
    finding = Finding(codes["pneumonia"], Presence.UNDETERMINED)
    document = sr_of(ct, tmp_path, lambda _: Result(findings=[finding]))
    assert "Pneumonia: undetermined." in {item.get("TextValue") for item in document.ContentSequence}


def test_local_codes_are_named_with_who_is_responsible(ct: list[Path], tmp_path: Path) -> None:
    (scheme,) = sr_of(ct, tmp_path).CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeResponsibleOrganization) == (
        "99ORCH",
        "radiology-orchestrator",
    )


def of_three(grid: Grid) -> Result:
    """Return a segment with a finding that can wait, a region that cannot, and an urgent one without a place."""
    mask = np.zeros(grid.shape, bool)
    mask[1:3, 2:6, 2:6] = True
    return Result(
        segments=[Segment("Nodule", mask, codes["nodule"])],
        findings=[
            Finding(codes["nodule"], urgency=Urgency.NON_URGENT, segment="Nodule"),
            Finding(codes["mass"], Presence.ABSENT, urgency=Urgency.IMMEDIATE),
            Finding(codes["fracture"], urgency=Urgency.URGENT),
            Finding(codes["pneumothorax"], urgency=Urgency.IMMEDIATE, regions=[Region.point(0, 1, 3)]),
        ],
    )


def test_the_most_urgent_finding_stands_first_wherever_it_lies(ct: list[Path], tmp_path: Path) -> None:
    document = sr_of(ct, tmp_path, of_three)
    assert templates(document)[:3] == ["1410", "1411", "1410"]
    findings = summary_of([document]).findings
    assert [each["name"] for each in findings] == ["Pneumothorax", "Nodule", "Fracture", "Mass"]


def test_the_most_urgent_grid_stands_first(tmp_path: Path) -> None:
    views = [cr_image(tmp_path, number=number, rows=24 * number) for number in (1, 2)]

    def fractures(grid: Grid) -> Result:
        is_small = grid.shape[1] == 24
        finding = Finding(
            codes["fracture"],
            urgency=Urgency.URGENT if is_small else Urgency.NON_URGENT,
            regions=[Region.point(0, 1, 3)],
        )
        return Result(findings=[finding])

    for paths in (views, views[::-1]):
        document = write_result(paths, fractures, tmp_path, geometry=Geometry.IMAGE).read(ObjectKind.SR)
        assert [each["urgency"] for each in summary_of([document]).findings] == ["urgent", "non-urgent"]


@pytest.mark.parametrize("result_of", [everything, placeless, nothing], ids=lambda each: each.__name__)
def test_the_text_says_before_any_finding_that_a_machine_wrote_it(ct: list[Path], tmp_path: Path, result_of) -> None:
    content = list(items(sr_of(ct, tmp_path, result_of)))
    at = [item.get("TextValue") for item in content].index(UNVERIFIED_STATEMENT)
    assert not {"NUM", "CONTAINER", "SCOORD"} & {item.ValueType for item in content[:at]}
