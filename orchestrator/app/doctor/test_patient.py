"""The study of a synthetic patient that tests an archive: images and every kind of result object.

UIDs and bytes are the same each time, so repeated tests leave one small study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import UID

from orchestrator import __version__
from orchestrator.dicom import Syntax, WriteOptions, gather, plan, read_instance, write_objects
from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE, WORDS
from orchestrator.domain.concepts import codes
from orchestrator.domain.job import Priority
from orchestrator.domain.model import Accepts, ModelDescription
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord
from orchestrator.domain.result import HeatMap, Result, Segment
from orchestrator.domain.series import Series
from orchestrator.testing import Patient, Phantom, SyntheticSeries, synthetic_series

PATIENT = Patient(patient_id="ORCHESTRATOR-TEST", name="Orchestrator^Test^Patient")
MADE_AT = datetime(2025, 5, 1, 12, 0, tzinfo=UTC)
SEED = "archive test"
TEST_STUDY_UID = Phantom(seed=SEED).uid("study")
MODEL = ModelDescription(name="archive-test", version="1", digest="0" * 64, manufacturer="radiology-orchestrator")
IMAGES = "images"
EVERY_KIND = frozenset(WORDS.values())

_OTHER_ENCODINGS = WriteOptions(label_map=True, comprehensive_3d=False, objects=frozenset())


@dataclass(frozen=True, slots=True)
class TestObjects:
    """Objects of one SOP class. kind: their name in the lines of ``doctor``."""

    kind: str
    paths: Sequence[Path]
    references: Sequence[ObjectReference]
    patient_id: str = PATIENT.patient_id

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return self.references[0].study_uid

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""
        return self.references[0].sop_class


def write_test_study(folder: Path, syntax: Syntax) -> tuple[TestObjects, ...]:
    """Write the images and all objects of a result, in every SOP class, into the folder; return them, images first."""
    images = synthetic_series(
        folder / "images",
        slices=10,
        patient=PATIENT,
        seed=SEED,
        attributes={"QualityControlSubject": "YES", "StudyDescription": "Archive test, synthetic"},
    )
    series = gather([read_instance(path) for path in images.paths])
    defaults, others = WriteOptions(syntax=syntax, objects=EVERY_KIND), replace(_OTHER_ENCODINGS, syntax=syntax)
    objects = {
        item.sop_class: item
        for options in (defaults, others)
        for item in _write_result(images, series, folder, options)
        if options is defaults or item.kind in {ObjectKind.SEG, ObjectKind.SR}
    }
    return (TestObjects(IMAGES, images.paths, _images(series)), *map(_test_objects, objects.values()))


def _write_result(
    images: SyntheticSeries, series: Series, folder: Path, options: WriteOptions
) -> tuple[ObjectRecord, ...]:
    grid = plan(series, Accepts())[0]
    result = Result(
        [Segment("Test lesion", images.mask, codes["lesion"])], maps=[HeatMap("Test map", images.mask.astype("f4"))]
    )
    job = JobRecord(
        key=f"archive-test-{__version__}",
        series_uid=series.series_uid,
        revision=1,
        study_uid=series.study_uid,
        model=MODEL.name,
        model_version=MODEL.version,
        model_digest=MODEL.digest,
        rule="",
        priority=Priority.ROUTINE,
        created_at=MADE_AT,
        updated_at=MADE_AT,
    )
    return write_objects([(grid, result)], job=job, model=MODEL, folder=folder / "objects", options=options)


def _images(series: Series) -> list[ObjectReference]:
    return [ObjectReference(one.study_uid, one.series_uid, one.sop_uid, one.sop_class) for one in series.instances]


_NAMES = {
    ObjectKind.SEG: "segmentation (binary)",
    ObjectKind.PM: "parametric map",
    ObjectKind.SC: "key image",
    ObjectKind.KO: "key object",
    ObjectKind.PR: "presentation state",
}


def _test_objects(item: ObjectRecord) -> TestObjects:
    reference = ObjectReference(item.study_uid, item.series_uid, item.sop_uid, item.sop_class)
    if item.sop_class == LABEL_MAP_STORAGE:
        kind = "segmentation (labelmap)"
    elif item.kind is ObjectKind.SR:
        kind = f"report ({UID(item.sop_class).name.removesuffix(' Storage')})"
    else:
        kind = _NAMES[item.kind]
    return TestObjects(kind, [item.path], [reference])
