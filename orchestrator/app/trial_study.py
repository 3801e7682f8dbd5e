"""The study of a synthetic patient with which an archive is tried: images, a segmentation and a report.

UIDs and bytes are the same each time, so an archive that was tried often holds one small study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator import __version__
from orchestrator.dicom import WriteOptions, gather, plan, read_instance, write
from orchestrator.domain.concepts import codes
from orchestrator.domain.job import Priority
from orchestrator.domain.model import Accepts, ModelDescription
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord
from orchestrator.domain.result import Result, Segment
from orchestrator.domain.series import Series
from orchestrator.testing import Patient, Phantom, SyntheticSeries, synthetic_series

PATIENT = Patient(patient_id="ORCHESTRATOR-TEST", name="Orchestrator^Test^Patient")
MADE_AT = datetime(2025, 5, 1, 12, 0, tzinfo=UTC)
SEED = "archive test"
TRIAL_STUDY_UID = Phantom(seed=SEED).uid("study")
MODEL = ModelDescription(name="archive-test", version="1", digest="0" * 64, manufacturer="radiology-orchestrator")


@dataclass(frozen=True, slots=True)
class TrialObjects:
    """Objects of one kind. what: their name for people; advice: what to change where they are refused."""

    what: str
    paths: Sequence[Path]
    references: Sequence[ObjectReference]
    advice: str
    patient_id: str = PATIENT.patient_id

    @property
    def study_uid(self) -> str:
        """The study that they are part of."""
        return self.references[0].study_uid


def write_trial_study(folder: Path, options: WriteOptions) -> tuple[TrialObjects, ...]:
    """Return the images, the segmentation and the report, written into the folder as the options say."""
    images = synthetic_series(
        folder / "images",
        slices=10,
        patient=PATIENT,
        seed=SEED,
        attributes={"QualityControlSubject": "YES", "StudyDescription": "Archive test, synthetic"},
    )
    series = gather([read_instance(path) for path in images.paths])
    objects = _written(images, series, folder, options)
    return (
        TrialObjects(
            "images", images.paths, _images(series), "let it take CT images from this host's AE title or user"
        ),
        *(_one(item, options) for item in objects),
    )


def _written(images: SyntheticSeries, series: Series, folder: Path, options: WriteOptions) -> tuple[ObjectRecord, ...]:
    grid = plan(series, Accepts())[0]
    result = Result([Segment("Test lesion", images.mask, codes["lesion"])])
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
    return write([(grid, result)], job=job, model=MODEL, folder=folder / "objects", options=options)


def _images(series: Series) -> list[ObjectReference]:
    return [ObjectReference(one.study_uid, one.series_uid, one.sop_uid, one.sop_class) for one in series.instances]


def _one(item: ObjectRecord, options: WriteOptions) -> TrialObjects:
    reference = ObjectReference(item.study_uid, item.series_uid, item.sop_uid, item.sop_class)
    if item.kind is ObjectKind.SEG:
        what = "segmentation (labelmap)" if options.label_map else "segmentation (binary)"
        advice = 'write seg = "binary"' if options.label_map else f"let it take SOP class {item.sop_class}"
    else:
        what = "report (Comprehensive 3D SR)" if options.comprehensive_3d else "report (Comprehensive SR)"
        advice = 'write sr = "comprehensive"' if options.comprehensive_3d else f"let it take SOP class {item.sop_class}"
    return TrialObjects(what, [item.path], [reference], advice)
