"""Notifications about arrivals: an instance came, an association ended, a series is complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One acknowledged instance, durable under ``path``.

    association: names the association that brought it; empty where only the file is left to tell.
    duplicate: the same bytes were there before, and ``path`` is the file from then.
    conflict: the spool holds other bytes under this SOP Instance UID too; those of ``path`` count.
    source: name of the archive that it was fetched from; empty for what was pushed.
    """

    path: Path
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    calling: str
    called: str
    association: str = ""
    duplicate: bool = False
    conflict: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The end of one association.

    released: by A-RELEASE, as a sender does when it has sent all; False: aborted, silent or lost.
    others_open: associations that the same calling AE title still has open.
    """

    association: str
    released: bool
    calling: str
    called: str
    others_open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An explicit signal that nothing of a series is missing.

    count: how many instances it has in all; reason: who says so, in words for the record.
    """

    series_uid: str
    count: int
    reason: str


Notification = Arrival | Closed | Announced
"""One message to the engine."""
