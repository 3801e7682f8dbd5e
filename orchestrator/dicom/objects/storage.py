"""Encodes dataset objects and stores them durably on disk."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import UID, ParametricMapStorage

from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.durable import write_durably

_KINDS = {kind.value: kind for kind in ObjectKind}


def encode_file(dataset: Dataset) -> bytes:
    """Return the bytes of an object as a DICOM file (PS3.10)."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def with_syntax(dataset: Dataset, syntax: UID) -> Dataset:
    """Return an object in this transfer syntax; an object with compressed pixels keeps its own."""
    own = dataset.file_meta.TransferSyntaxUID
    if own == syntax or own.is_compressed:
        return dataset
    copy = dcmread(BytesIO(encode_file(dataset)))  # parse again: some sequences of a SEG are already encoded
    copy.file_meta.TransferSyntaxUID = syntax
    return copy


def store(dataset: Dataset, job_key: str, folder: Path, form: str = "", kind: ObjectKind | None = None) -> ObjectRecord:
    """Write an object durably to ``folder/<SOP Instance UID>.dcm``; return its record.

    kind: by default the kind that belongs to its modality.
    """
    content = encode_file(dataset)
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, content)
    return ObjectRecord(
        sop_uid=str(dataset.SOPInstanceUID),
        job_key=job_key,
        kind=kind or _kind(dataset),
        sop_class=str(dataset.SOPClassUID),
        series_uid=str(dataset.SeriesInstanceUID),
        study_uid=str(dataset.StudyInstanceUID),
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        form=form,
    )


def _kind(dataset: Dataset) -> ObjectKind:
    """Return the kind by modality; a map is recognized by its SOP class, since OT has many uses."""
    if dataset.SOPClassUID == ParametricMapStorage:
        return ObjectKind.PM
    return _KINDS.get(dataset.Modality, ObjectKind.OTHER)
