"""Notices a study that names two patients: a result could reach the record of the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.dicom import patient_difference, read_instance
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.records import SeriesRecord, SeriesState
from orchestrator.domain.series import Headers, Series
from orchestrator.ledger import Ledger

MOST_REVISIONS = 1000
"""Largest number of revisions of one study that are looked at."""


def find_other_patient(ledger: Ledger, series: Series) -> tuple[str, str] | None:
    """Return (UID of another series of the study, keyword) where the two name different patients, else None.

    The ledger holds no patient data, so this reads one image of each other series; a series whose files are gone
    is not compared.
    """
    headers = series.instances[0].headers
    for record in _others(ledger, series):
        if (there := _patient_of(ledger, record)) and (keyword := patient_difference(headers, there)):
            return record.series_uid, keyword
    return None


def _others(ledger: Ledger, series: Series) -> Iterator[SeriesRecord]:
    """Yield the current revision of each other series of the study."""
    for record in ledger.series.newest(study_uid=series.study_uid, limit=MOST_REVISIONS):
        if record.series_uid != series.series_uid and record.state is not SeriesState.SUPERSEDED:
            yield record


def _patient_of(ledger: Ledger, record: SeriesRecord) -> Headers | None:
    for row in ledger.series.instances(record.series_uid, record.revision):
        if row.is_read:
            try:
                return read_instance(row.path).headers
            except UnreadableFile:  # retention removed it
                return None
    return None
