"""Images that conflict with those of another sender: kept apart until a person decides which ones count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class QuarantineState(StrEnum):
    """WAITING for a person; TAKEN: the image counts; REFUSED: it never counts."""

    WAITING = "waiting"
    TAKEN = "taken"
    REFUSED = "refused"


class Conflict(StrEnum):
    """In what an image conflicts with those of its series that came before it."""

    CONTENT = "content"
    PATIENT = "patient"


CONFLICTS = {
    Conflict.CONTENT: "other content under the same SOP Instance UID",
    Conflict.PATIENT: "another patient in the same series",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedImage:
    """One image in quarantine, and its file.

    sender, against: AE title, or name of the source, that brought it, and that brought what counts.
    digest: of its content; the same content again is the same row.
    taken_up: whether the engine has added an image that was taken to its series.
    """

    series_uid: str
    sop_uid: str
    digest: str
    study_uid: str
    path: Path
    sender: str
    against: str
    conflict: Conflict
    state: QuarantineState = QuarantineState.WAITING
    taken_up: bool = False
    at: datetime


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The images of one series and one sender that wait for a decision. since: when the first of them came."""

    series_uid: str
    study_uid: str
    sender: str
    against: str
    conflict: Conflict
    count: int
    since: datetime

    def __str__(self) -> str:
        """Return a sentence for pages and lists, without patient data."""
        images = "1 image" if self.count == 1 else f"{self.count} images"
        return f"{images} from {self.sender}: {CONFLICTS[self.conflict]} (earlier images are from {self.against})"
