"""Images that lack a Frame of Reference UID give a segmentation in a frame of reference of its own."""

from __future__ import annotations

from pathlib import Path

from orchestrator.domain.records import ObjectKind
from tests.data.faults import change
from tests.data.series import ct_series
from tests.parts.dicom.written import one_segment, write_result


def test_a_segmentation_has_positions_without_a_frame_of_reference_of_the_source(tmp_path: Path) -> None:
    paths = ct_series(tmp_path / "in", slices=4, rows=16, columns=16)
    with_frame = write_result(paths, one_segment, tmp_path / "with").read(ObjectKind.SEG)
    change(paths, lambda dataset: dataset.pop("FrameOfReferenceUID"))
    segs = [write_result(paths, one_segment, tmp_path / name).read(ObjectKind.SEG) for name in ("one", "again")]
    assert segs[0].FrameOfReferenceUID == segs[1].FrameOfReferenceUID != with_frame.FrameOfReferenceUID
    positions = [
        [item.PlanePositionSequence[0].ImagePositionPatient for item in seg.PerFrameFunctionalGroupsSequence]
        for seg in (with_frame, segs[0])
    ]
    assert positions[0] == positions[1]
