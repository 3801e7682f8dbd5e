"""Every object the host writes passes the validators of the field and is read back as it was meant."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom.seg import Segmentation
from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, Syntax, WriteOptions
from orchestrator.domain.concepts import codes
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Measurement, Result
from tests.data.series import ct_series
from tests.parts.dicom.kinds import KINDS, PLACED, SEGMENTED, UNPLACED
from tests.parts.dicom.validators import (
    KNOWN,
    LABEL_MAP_KNOWN,
    assert_consistent,
    assert_same_patient,
    assert_valid,
    read_masks,
    read_report,
)
from tests.parts.dicom.written import Written, everything, everything_and_maps, one_segment, write_result

Kinds = Callable[[str], Written]
UNLIKE_THEIR_SOURCE = {"CT with odd headers", "ultrasound of a retired class"}
"""The dates of the first are repaired; the validator does not know the class of the second."""
every_kind = pytest.mark.parametrize("kind", KINDS)
segmented_kinds = pytest.mark.parametrize("kind", SEGMENTED)
placed_kinds = pytest.mark.parametrize("kind", PLACED)
NO_ITK_IMAGE = {"CT with missing slices", "CT with a gantry tilt"}
"""An ITK image has one spacing and right angles; the frames of these are checked one by one."""
IMAGING_MEASUREMENTS, DERIVED_IMAGING_MEASUREMENTS, QUALITATIVE_EVALUATIONS = "126010", "126011", "C0034375"
"""The parts of TID 1500."""
TRACKING_UID = "112040"


@every_kind
def test_validators_find_no_fault(written: Kinds, kind: str) -> None:
    done = written(kind)
    for path in done.paths:
        assert_valid(path, done.sources[0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNLIKE_THEIR_SOURCE])
def test_objects_belong_to_the_study_of_their_source(written: Kinds, kind: str) -> None:
    done = written(kind)
    assert_consistent(done.sources, done.paths)
    assert_same_patient(done.sources[0], done.paths)


@pytest.mark.parametrize("kind", [kind for kind in PLACED if kind not in NO_ITK_IMAGE])
def test_dcmqi_reads_the_same_voxels_at_the_same_places(written: Kinds, kind: str) -> None:
    done = written(kind)
    masks = {mask.label: mask for mask in read_masks(done.path(ObjectKind.SEG))}
    for segment in done.results[0].segments:
        if segment.mask.any():
            expected = np.argwhere(segment.mask) @ _affine(done)[:3, :3].T + _affine(done)[:3, 3]
            np.testing.assert_allclose(_sorted(masks[segment.label].points), _sorted(expected), atol=1e-3)


@placed_kinds
def test_dcmqi_reads_the_volume_that_its_own_voxels_have(written: Kinds, kind: str) -> None:
    done = written(kind)
    volumes = dict(_volumes(read_report(done.path(ObjectKind.SR))))
    if done.grids[0].affine is None:
        assert volumes == {}
        return
    for mask in read_masks(done.path(ObjectKind.SEG)):
        assert volumes[mask.label] == pytest.approx(len(mask.points) * mask.voxel_ml, rel=1e-6)


@segmented_kinds
def test_every_frame_holds_the_mask_of_the_image_it_refers_to(written: Kinds, kind: str) -> None:
    done = written(kind)
    for number, (grid, result) in enumerate(zip(done.grids, done.results, strict=True)):
        planes = _planes(_segs(done)[number])
        expected = {
            (segment.label, frame.sop_uid, frame.frame or 1): plane
            for segment in result.segments
            for frame, plane in zip(grid.frames, segment.mask, strict=True)
            if plane.any()
        }
        assert planes.keys() == expected.keys()
        assert all(np.array_equal(planes[key], plane) for key, plane in expected.items())


@placed_kinds
def test_every_frame_lies_where_its_image_lies(written: Kinds, kind: str) -> None:
    done = written(kind)
    grid = done.grids[0]
    places = {
        (frame.sop_uid, frame.frame or 1): place for frame, place in zip(grid.frames, _positions(grid), strict=True)
    }
    for groups in done.read(ObjectKind.SEG).PerFrameFunctionalGroupsSequence:
        _, *source = _source(groups)
        np.testing.assert_allclose(
            groups.PlanePositionSequence[0].ImagePositionPatient, places[tuple(source)], atol=1e-6
        )


@segmented_kinds
def test_tracking_uids_are_those_of_the_segments(written: Kinds, kind: str) -> None:
    done = written(kind)
    tracked = {item.UID for item in _items(done.read(ObjectKind.SR)) if item.ValueType == "UIDREF"}
    assert {segment.TrackingUID for seg in _segs(done) for segment in seg.SegmentSequence} <= tracked


@every_kind
def test_whatever_the_content_refers_to_is_evidence(written: Kinds, kind: str) -> None:
    done = written(kind)
    document = done.read(ObjectKind.SR)
    referenced = {
        each.ReferencedSOPInstanceUID for item in _items(document) for each in item.get("ReferencedSOPSequence", [])
    }
    read = {frame.sop_uid for grid in done.grids for frame in grid.frames}
    made = {record.sop_uid for record in done.objects if record.kind in {ObjectKind.SEG, ObjectKind.PM}}
    assert referenced <= set(_evidence(document))
    assert set(_evidence(document)) == read | made


@every_kind
def test_a_machine_signs_nothing(written: Kinds, kind: str) -> None:
    document = written(kind).read(ObjectKind.SR)
    flags = (document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag)
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in document


@segmented_kinds
def test_a_viewer_finds_something_to_draw(written: Kinds, kind: str) -> None:
    drawn = [item for item in _items(written(kind).read(ObjectKind.SR)) if item.ValueType == "SCOORD"]
    assert drawn


@pytest.mark.parametrize("kind", UNPLACED)
def test_what_has_no_place_claims_no_template_and_no_report(written: Kinds, kind: str) -> None:
    document = written(kind).read(ObjectKind.SR)
    assert document.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99ORCH"
    assert "ContentTemplateSequence" not in document
    assert not [item for item in _items(document) if item.ValueType.startswith("SCOORD")]


@pytest.mark.parametrize("kind", ["image by image", "images beside places", "loop, frame by frame"])
def test_each_score_of_an_image_refers_to_that_image(written: Kinds, kind: str) -> None:
    done = written(kind)
    scored = [item for item in _items(done.read(ObjectKind.SR)) if _is_called(item, "image-score")]
    images = done.grids[0].frames
    expected = [(images[-1].sop_uid, images[-1].frame or 1), (images[0].sop_uid, images[0].frame or 1)]
    references = [item.ContentSequence[0].ReferencedSOPSequence[0] for item in scored]
    assert [(ref.ReferencedSOPInstanceUID, int(ref.get("ReferencedFrameNumber", 1))) for ref in references] == expected
    assert [float(item.MeasuredValueSequence[0].NumericValue) for item in scored] == [0.875, 0.625]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNPLACED])
def test_whatever_viewers_draw_from_can_be_drawn(written: Kinds, kind: str) -> None:
    document = written(kind).read(ObjectKind.SR)
    drawn, others = set[str](), set[str]()
    for group in _groups_in(document, IMAGING_MEASUREMENTS):
        uids = drawn if any(item.ValueType == "SCOORD" for item in _items(group)) else others
        uids.update(item.UID for item in _items(group) if _is_called(item, TRACKING_UID))
    assert drawn
    assert others <= drawn


def test_what_has_no_place_stands_beside_what_viewers_draw(written: Kinds) -> None:
    document = written("images beside places").read(ObjectKind.SR)
    beside = [item for group in _groups_in(document, QUALITATIVE_EVALUATIONS) for item in _items(group)]
    everywhere = [item for item in _items(document) if _is_called(item, "image-score")]
    assert everywhere
    assert [item for item in beside if _is_called(item, "image-score")] == everywhere


def test_what_was_measured_on_the_series_stands_beside_what_viewers_draw(tmp_path: Path) -> None:
    def result_of(grid: Grid) -> Result:
        return replace(one_segment(grid), measurements=[Measurement(codes["intracranial volume"], 12.5, "ml")])

    done = write_result(ct_series(tmp_path / "in"), result_of, tmp_path)
    assert_valid(done.path(ObjectKind.SR), done.sources[0])
    (group,) = _groups_in(done.read(ObjectKind.SR), DERIVED_IMAGING_MEASUREMENTS)
    (number,) = [item for item in _items(group) if item.ValueType == "NUM"]
    assert float(number.MeasuredValueSequence[0].NumericValue) == 12.5


@pytest.mark.parametrize(
    "options",
    [WriteOptions(label_map=True), WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)],
    ids=lambda options: options.form,
)
def test_a_label_map_is_read_back_as_the_same_mask(tmp_path: Path, options: WriteOptions) -> None:
    done = write_result(ct_series(tmp_path / "in"), one_segment, tmp_path, options=options)
    assert done.read(ObjectKind.SEG).SegmentationType == "LABELMAP"
    assert_valid(done.path(ObjectKind.SEG), done.sources[0])
    assert_valid(done.path(ObjectKind.SR), done.sources[0], known=(*KNOWN, *LABEL_MAP_KNOWN), dump=False)
    volume = Segmentation.from_dataset(done.read(ObjectKind.SEG)).get_volume(combine_segments=True)
    assert int((volume.array == 1).sum()) == int(done.results[0].segments[0].mask.sum())


def test_dcmtk_inflates_what_is_deflated_to_valid_objects(tmp_path: Path) -> None:
    deflated = WriteOptions(syntax=Syntax.DEFLATED)
    done = write_result(ct_series(tmp_path / "in"), everything, tmp_path, options=deflated)
    assert {dcmread(path).file_meta.TransferSyntaxUID for path in done.paths} == {Syntax.DEFLATED.uid}
    for path in done.paths:
        inflated = tmp_path / f"inflated {path.name}"
        subprocess.run(["dcmconv", "+te", str(path), str(inflated)], check=True, timeout=60)
        assert_valid(inflated, done.sources[0])
    assert_consistent(done.sources, sorted(tmp_path.glob("inflated *")))


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    images = ct_series(tmp_path / "in", slices=4)
    here = [record.sha256 for record in write_result(images, everything_and_maps, tmp_path / "here").objects]
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.parts.dicom.written import everything_and_maps, write_result\n"
        "images = sorted(Path(sys.argv[1]).iterdir())\n"
        "print(*(record.sha256 for record in write_result(images, everything_and_maps, Path(sys.argv[2])).objects))"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "in"), str(tmp_path / "there")]
    root = Path(__file__).parents[2]
    there = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": "7"})
    assert there.stdout.split() == here


def _affine(done: Written) -> npt.NDArray[np.float64]:
    affine = done.grids[0].affine
    assert affine is not None
    return affine


def _positions(grid: Grid) -> npt.NDArray[np.float64]:
    assert grid.positions is not None
    return grid.positions


def _sorted(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rounded = np.round(points, 3) + 0.0
    return rounded[np.lexsort(rounded.T)]


def _segs(done: Written) -> list[Dataset]:
    return [dcmread(record.path) for record in done.objects if record.kind is ObjectKind.SEG]


def _planes(seg: Dataset) -> dict[tuple[str, str, int], npt.NDArray[Any]]:
    """Return each frame by label of its segment, SOP Instance UID and frame number of its source."""
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in seg.SegmentSequence}
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    planes = {}
    for groups, frame in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
        number, uid, source = _source(groups)
        planes[labels[number], uid, source] = frame
    return planes


def _source(groups: Dataset) -> tuple[int, str, int]:
    image = groups.DerivationImageSequence[0].SourceImageSequence[0]
    number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return number, image.ReferencedSOPInstanceUID, int(image.get("ReferencedFrameNumber", 1))


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _items(child)


def _is_called(item: Dataset, concept: str) -> bool:
    return "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].get("CodeValue") == concept


def _groups_in(document: Dataset, part: str) -> Iterator[Dataset]:
    """Yield the groups in one part of a report."""
    for item in document.ContentSequence:
        if _is_called(item, part):
            yield from item.ContentSequence


def _evidence(document: Dataset) -> Iterator[str]:
    for study in document.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            yield from (instance.ReferencedSOPInstanceUID for instance in series.ReferencedSOPSequence)


def _volumes(report: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for group in report["Measurements"]:
        for number in group.get("measurementItems", []):
            if number["quantity"]["CodeValue"] == "118565006":
                yield group["TrackingIdentifier"], float(number["value"])
