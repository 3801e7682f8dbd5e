"""Objects on disk: encoded once, durable before anybody is told of them."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import UID, ParametricMapStorage

from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.durable import write_durably

_KINDS = {kind.value: kind for kind in ObjectKind}


def encoded(written: Dataset) -> bytes:
    """Return the bytes of an object as a DICOM file (PS3.10)."""
    buffer = BytesIO()
    dcmwrite(buffer, written, enforce_file_format=True)
    return buffer.getvalue()


def in_syntax(written: Dataset, syntax: UID) -> Dataset:
    """Return the same object, to be written in this transfer syntax, compressed pixels in none but their own."""
    own = written.file_meta.TransferSyntaxUID
    if own == syntax or own.is_compressed:
        return written
    again = dcmread(BytesIO(encoded(written)))  # a part of a SEG is encoded already, in the syntax of before
    again.file_meta.TransferSyntaxUID = syntax
    return again


def store(written: Dataset, job_key: str, folder: Path, form: str = "", kind: ObjectKind | None = None) -> ObjectRecord:
    """Return the record of an object that is now the file ``folder/<SOP Instance UID>.dcm``, also after a crash.

    kind: that of its modality unless told otherwise.
    """
    content = encoded(written)
    path = folder / f"{written.SOPInstanceUID}.dcm"
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, content, mode=0o666)
    return ObjectRecord(
        sop_uid=str(written.SOPInstanceUID),
        job_key=job_key,
        kind=kind or _kind(written),
        sop_class=str(written.SOPClassUID),
        series_uid=str(written.SeriesInstanceUID),
        study_uid=str(written.StudyInstanceUID),
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        form=form,
    )


def _kind(written: Dataset) -> ObjectKind:
    """Return the kind by the modality; that of a map is the one of many images (OT)."""
    if written.SOPClassUID == ParametricMapStorage:
        return ObjectKind.PM
    return _KINDS.get(written.Modality, ObjectKind.OTHER)
