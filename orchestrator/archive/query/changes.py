"""Polls an archive that sends no notifications: compares the instance counts of recent studies between polls.

Each poll sends one query for the studies, and one more for each study whose count changed; never one for images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Protocol

from orchestrator.archive.query.matching import STUDY_COUNT, first
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import Change, Changes, FoundSeries
from orchestrator.domain.series import Headers

_DAYS_BEFORE = 1  # an examination at night ends on the next day and has the date of its start

_MOST_STUDIES = 2000

_Counts = dict[str, int | None]


@dataclass(slots=True)
class _Snapshot:
    """State of the earlier polls. day: of the last poll. studies: study -> (its count, the counts of its series).

    Studies and series are stored as short digests of their UIDs, because a cursor is written at each poll.
    """

    day: date
    studies: dict[str, tuple[int | None, _Counts]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str, today: date) -> _Snapshot:
        """Return the snapshot in a cursor; raises ArchiveRefused where the cursor is invalid."""
        if not cursor:
            return cls(today)
        try:
            record: dict[str, Any] = json.loads(cursor)
            studies = {study: (count, dict(series)) for study, (count, series) in record["studies"].items()}
            return cls(date.fromisoformat(record["day"]), studies)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ArchiveRefused(
                "the cursor of the last poll of the archive cannot be read; start again without a cursor"
            ) from None

    def write(self, today: date, count: int) -> str:
        """Return the cursor. count: number of recent studies.

        The cursor keeps some more studies, so that a clock that jumped ahead and back makes no false changes.
        """
        studies = dict(list(self.studies.items())[-max(count, _MOST_STUDIES) :])
        return json.dumps({"day": today.isoformat(), "studies": studies}, separators=(",", ":"))


class StudyIndex(Protocol):
    """Queries to one archive; its str() names the archive. Methods may raise ArchiveUnavailable, ArchiveRefused."""

    def studies(self, query: Mapping[str, str]) -> Iterable[Headers]:
        """Yield the headers of the studies that match, with NumberOfStudyRelatedInstances if the archive sends it."""

    def series(self, study: Headers) -> Iterable[FoundSeries]:
        """Yield the series of a study, each with its instance count if the archive sends it."""


def changes(archive: StudyIndex, cursor: str) -> Changes:
    """Return the series of recent studies that are new or grew since the cursor; an empty cursor starts now.

    Recent studies are dated since the day before the last poll, or in the future, because clocks differ. A count
    that stays the same does not prove that a series is complete, so no change is reported as complete.
    Raises ArchiveUnavailable, ArchiveRefused (an archive without counts; an invalid cursor).
    """
    today = date.today()
    snapshot = _Snapshot.read(cursor, today)
    since = min(today, snapshot.day) - timedelta(days=_DAYS_BEFORE)
    recent = list(archive.studies({"StudyDate": f"{since:%Y%m%d}-"}))
    results = [change for study in recent for change in _study_changes(archive, study, snapshot)]
    return Changes(tuple(results) if cursor else (), snapshot.write(today, len(recent)))


def _study_changes(archive: StudyIndex, study: Headers, snapshot: _Snapshot) -> list[Change]:
    key, count = _key(first(study, "StudyInstanceUID")), _count(study)
    previous, counts = snapshot.studies.pop(key, (None, {}))
    results: list[FoundSeries] = []
    if count is None or count != previous:
        series = list(archive.series(study))
        results = _changed_series(archive, series, counts, by_study=count is not None)
        counts = counts | {_key(each.series_uid): each.count for each in series}
    snapshot.studies[key] = (count, counts)  # at the end of the dict: the oldest studies are dropped first
    return [Change(each) for each in results]


def _changed_series(
    archive: StudyIndex, series: Sequence[FoundSeries], counts: _Counts, *, by_study: bool
) -> list[FoundSeries]:
    """Return the series that are new or have another count; all series where only the study has a count.

    Raises ArchiveRefused.
    """
    if not by_study and any(each.count is None for each in series):
        raise ArchiveRefused(
            f"{archive} sends no instance counts of studies or series, so it cannot be watched: "
            "let it send its images to the receiver"
        )
    return [each for each in series if each.count is None or counts.get(_key(each.series_uid)) != each.count]


def _count(study: Headers) -> int | None:
    text = first(study, STUDY_COUNT)
    return int(text) if text.isdecimal() else None


def _key(uid: str) -> str:
    return hashlib.blake2s(uid.encode(), digest_size=6).hexdigest()
