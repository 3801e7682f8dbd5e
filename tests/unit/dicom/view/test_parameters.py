"""How a result was computed is read back from its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.dicom import parameters
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Result
from tests.parts.dicom.written import MODEL, everything, write_result


def test_parameters_weights_and_notes_of_the_run_are_stated(ct: list[Path], tmp_path: Path) -> None:
    def noted(grid: object) -> Result:
        return replace(everything(grid), notes={"device": "cpu", "onnxruntime": "1.22.0"})  # type: ignore[arg-type]

    stated = parameters(write_result(ct, noted, tmp_path).objects)
    assert stated == {"threshold": "0.5", "weights_sha256": MODEL.digest, "device": "cpu", "onnxruntime": "1.22.0"}


def test_objects_without_a_report_state_nothing(ct: list[Path], tmp_path: Path) -> None:
    objects = write_result(ct, everything, tmp_path).objects
    assert parameters([record for record in objects if record.kind is not ObjectKind.SR]) == {}


def test_a_broken_report_is_named_by_its_uid_alone(ct: list[Path], tmp_path: Path) -> None:
    (report,) = (each for each in write_result(ct, everything, tmp_path).objects if each.kind is ObjectKind.SR)
    report.path.write_bytes(b"no DICOM")
    with pytest.raises(UnreadableFile, match=rf"^the file of SR {report.sop_uid} is not valid DICOM$"):
        parameters([report])
