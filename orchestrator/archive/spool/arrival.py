"""Notifications about arrivals: an instance came, an association ended, a series is complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECEIVER = "receiver"
"""The source of images that senders push."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One file that came, durable under ``path``: an acknowledged instance, or a file of a watched folder.

    study_uid to transfer_syntax: empty for a file of a watched folder, whose header is not read yet.
    calling, called: AE titles of an association; empty where it came in another way.
    association: identifies the association that brought it; empty where that is not known any more.
    duplicate: the same bytes were there before, and ``path`` is the file from then.
    conflict: the spool holds other bytes under this SOP Instance UID too; those of ``path`` count.
    source: name of the archive that it was fetched from; RECEIVER for a pushed one.
    """

    path: Path
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class: str = ""
    transfer_syntax: str = ""
    calling: str = ""
    called: str = ""
    association: str = ""
    duplicate: bool = False
    conflict: bool = False
    source: str = RECEIVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The end of one association.

    released: by A-RELEASE, which a sender requests after its last image; False: aborted, silent or lost.
    others_open: other associations that the same calling AE title has open.
    """

    association: str
    released: bool
    calling: str
    called: str
    others_open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An explicit signal that no image of a series is missing.

    count: how many instances it has in all. reason: who says so, for the record.
    """

    series_uid: str
    count: int
    reason: str


Notification = Arrival | Closed | Announced
"""One message to the engine."""
