"""Hours of the day in which an action is allowed, for example nights for backfills."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Self

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: +(\S+))?")
_DAYS_TO_SEARCH = 3  # where a clock is put forward, the hours of one day may not be there at all


@dataclass(frozen=True, slots=True)
class Hours:
    """From ``begin`` to before ``end`` by the clock on the wall, over midnight where ``end`` is not later.

    zone: an IANA name such as Europe/Berlin; empty for the zone of this machine.
    """

    begin: time
    end: time
    zone: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the hours that a text such as ``20:00-06:00`` or ``20:00-06:00 Europe/Berlin`` names.

        Raises ValueError.
        """
        match = _HOURS.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError
            begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        except ValueError:
            raise ValueError(
                f"{text!r} is not a range of hours; write 20:00-06:00 or 20:00-06:00 Europe/Berlin"
            ) from None
        if begin == end:
            raise ValueError(f"{text!r} begins when it ends; omit it to allow every hour")
        _zone(match[5] or "")
        return cls(begin, end, match[5] or "")

    def opening(self, at: datetime) -> datetime:
        """Return the first moment from ``at`` on that lies within the hours: ``at`` itself where they are open."""
        local = at.astimezone(_zone(self.zone))
        if self._include(local):
            return at
        for days in range(_DAYS_TO_SEARCH):
            begin = datetime.combine(local.date() + timedelta(days), self.begin, tzinfo=_zone(self.zone))
            # by way of the moment itself: a time that the wall clock jumps over names a later one
            begin = datetime.fromtimestamp(begin.timestamp(), UTC)
            if begin >= at and self._include(begin.astimezone(_zone(self.zone))):
                return begin.astimezone(at.tzinfo)
        return at  # no such day; nothing may wait for ever

    def _include(self, local: datetime) -> bool:
        now = local.time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M} {self.zone}".rstrip()


@cache
def _zone(name: str) -> tzinfo | None:
    """Return the zone of that name; None is the machine's, as ``datetime`` understands it.

    Raises ValueError.
    """
    if not name:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only where a zone is named

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone of this machine; write for example Europe/Berlin") from None
