"""Reads the files of a series again, as the ledger says that they were received."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.dicom import read_instance
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.images import LeftOut
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Instance
from orchestrator.ledger import StoredInstance


def read_source(row: StoredInstance, series: SeriesRecord) -> Instance:
    """Return the instance; one that could not be read when it came is left out, its file is not opened.

    Raises UnreadableFile that names the UID, since a file name may contain a patient's name.
    """
    if row.left_out is LeftOut.UNREADABLE:
        identity = (series.study_uid, series.series_uid, row.sop_uid, row.sop_class)
        return Instance(*identity, row.path, row.digest, left_out=LeftOut.UNREADABLE, sender=row.sender or "")
    try:
        instance = read_instance(row.path)
    except UnreadableFile:
        state = "cannot be read any more" if row.path.exists() else "is gone"
        raise UnreadableFile(f"the file of image {row.sop_uid} {state}") from None
    shares_uid = row.left_out is LeftOut.SHARED_UID  # the digest of the row is over all contents of the UID
    digest = row.digest if shares_uid else instance.digest
    return replace(instance, left_out=row.left_out if shares_uid else None, digest=digest, sender=row.sender or "")
