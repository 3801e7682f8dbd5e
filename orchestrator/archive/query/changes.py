"""What changed in an archive that tells nothing by itself: counts of recent studies, compared from look to look.

Asked is one query for the studies, and one more for each study whose number of instances changed; never for images.
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

_DAYS_BEFORE = 1  # an examination at night ends on the next day, and keeps the date on which it began

_KEPT_STUDIES = 2000

_Counts = dict[str, int | None]


@dataclass(slots=True)
class _Seen:
    """What the last looks saw: day of the last one, and study -> (instances in all, those of each series).

    Studies and series stand there by a short digest of their UIDs: a cursor is written at each look.
    """

    day: date
    studies: dict[str, tuple[int | None, _Counts]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str, today: date) -> _Seen:
        """Return what a cursor says; raises ArchiveRefused where it is none of ours."""
        if not cursor:
            return cls(today)
        try:
            kept: dict[str, Any] = json.loads(cursor)
            known = {study: (count, dict(series)) for study, (count, series) in kept["studies"].items()}
            return cls(date.fromisoformat(kept["day"]), known)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ArchiveRefused(
                "the place where the last look at the archive ended cannot be read; begin anew"
            ) from None

    def write(self, today: date, recent: int) -> str:
        """Return the cursor of a look that found so many studies.

        Some more stay in it: after a clock that jumped ahead and back they are no news.
        """
        kept = dict(list(self.studies.items())[-max(recent, _KEPT_STUDIES) :])
        return json.dumps({"day": today.isoformat(), "studies": kept}, separators=(",", ":"))


class Counting(Protocol):
    """An archive that is being asked; str() of it stands in messages. May raise ArchiveUnavailable, ArchiveRefused."""

    def studies(self, query: Mapping[str, str]) -> Iterable[Headers]:
        """Yield the headers of the studies that match, with NumberOfStudyRelatedInstances where it counts them."""

    def series(self, study: Headers) -> Iterable[FoundSeries]:
        """Yield the series of a study, with the count of each where it counts them."""


def changes(archive: Counting, cursor: str) -> Changes:
    """Return the series of recent studies that came or grew since the cursor; an empty one begins now.

    Recent are the studies dated since the day before the last look, in the future too: clocks differ. That a
    count stays as it was says nothing about completeness, so no change is called complete.
    Raises ArchiveUnavailable, ArchiveRefused (an archive that answers no counts; a cursor that is none).
    """
    today = date.today()
    seen = _Seen.read(cursor, today)
    since = min(today, seen.day) - timedelta(days=_DAYS_BEFORE)
    recent = list(archive.studies({"StudyDate": f"{since:%Y%m%d}-"}))
    found = [change for study in recent for change in _changed(archive, study, seen)]
    return Changes(tuple(found) if cursor else (), seen.write(today, len(recent)))


def _changed(archive: Counting, study: Headers, seen: _Seen) -> list[Change]:
    mark, count = _mark(first(study, "StudyInstanceUID")), _count(study)
    before, known = seen.studies.pop(mark, (None, {}))
    grown: list[FoundSeries] = []
    if count is None or count != before:
        series = list(archive.series(study))
        grown = _grown(archive, series, known, by_study=count is not None)
        known = known | {_mark(each.series_uid): each.count for each in series}
    seen.studies[mark] = (count, known)  # at the end: what was seen last is kept longest
    return [Change(each) for each in grown]


def _grown(archive: Counting, series: Sequence[FoundSeries], known: _Counts, *, by_study: bool) -> list[FoundSeries]:
    """Return the series that are new or have another count; where only the study was counted, all of them.

    Raises ArchiveRefused.
    """
    if not by_study and any(each.count is None for each in series):
        raise ArchiveRefused(
            f"{archive} answers with no numbers of instances, of studies nor of series, so it cannot be watched: "
            "let it send its images to the receiver"
        )
    return [each for each in series if each.count is None or known.get(_mark(each.series_uid)) != each.count]


def _count(study: Headers) -> int | None:
    said = first(study, STUDY_COUNT)
    return int(said) if said.isdecimal() else None


def _mark(uid: str) -> str:
    return hashlib.blake2s(uid.encode(), digest_size=6).hexdigest()
