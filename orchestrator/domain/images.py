"""Accounts for every received instance of a series: a model reads it, or it is left out for a named reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

_MOST_UIDS = 10
"""SOP Instance UIDs that a sentence names for each reason; it only counts the others."""


class LeftOut(StrEnum):
    """Why no model reads a received instance."""

    UNREADABLE = "unreadable"  # the file cannot be read as DICOM
    SHARED_UID = "shared-uid"  # different images came under one SOP Instance UID; the series is refused
    NO_IMAGE = "no-image"  # a report, outlines, a presentation state beside images
    LOCALIZER = "localizer"  # a localizer beside other images
    SCREEN_CAPTURE = "screen-capture"  # a dose page or a screenshot beside images of the patient
    MACHINE_WRITTEN = "machine-written"  # an image made by software beside images of a scanner
    SAME_PLACE = "same-place"  # another image of the stack has the same place


_NOUNS: Final[Mapping[LeftOut, tuple[str, str]]] = {
    LeftOut.UNREADABLE: ("image that cannot be read", "images that cannot be read"),
    LeftOut.SHARED_UID: ("SOP Instance UID of different images", "SOP Instance UIDs of different images"),
    LeftOut.NO_IMAGE: ("object that is no image", "objects that are no images"),
    LeftOut.LOCALIZER: ("localizer", "localizers"),
    LeftOut.SCREEN_CAPTURE: ("screen capture", "screen captures"),
    LeftOut.MACHINE_WRITTEN: ("image made by software", "images made by software"),
    LeftOut.SAME_PLACE: ("image at the place of another image", "images at the places of other images"),
}


@dataclass(frozen=True, slots=True)
class ImageCount:
    """How many instances of a series came, how many a model reads, and why it does not read the others.

    left_out: SOP Instance UID -> reason.
    views: side and view of the images that are read, each once: ``R MLO``.
    """

    received: int = 0
    read: int = 0
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    views: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a sentence for reports and events: ``Read: 20 of 21 received images. Left out: 1 localizer (1.2)``."""
        sentence = f"Read: {self.read} of {self.received} received {self._noun}."
        return f"{sentence} Left out: {self._reasons}." if self.left_out else sentence

    @property
    def left_out_sentence(self) -> str:
        """How many instances no model reads, and why; for a series that no model has read yet."""
        return f"{len(self.left_out)} of {self.received} received {self._noun} left out: {self._reasons}"

    @property
    def _noun(self) -> str:
        return "objects" if LeftOut.NO_IMAGE in self.left_out.values() else "images"

    @property
    def _reasons(self) -> str:
        groups: dict[LeftOut, list[str]] = {}
        for uid, reason in self.left_out.items():
            groups.setdefault(reason, []).append(uid)
        return ", ".join(f"{_count(reason, len(uids))} ({_listed(uids)})" for reason, uids in groups.items())

    def to_json(self) -> dict[str, object]:
        """Return the count as a JSON object: received, read, left_out with uid and reason of each instance, views."""
        left_out = [{"uid": uid, "reason": str(reason)} for uid, reason in self.left_out.items()]
        return {"received": self.received, "read": self.read, "left_out": left_out, "views": list(self.views)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ImageCount:
        """Return the count that ``to_json`` wrote."""
        left_out = {item["uid"]: LeftOut(item["reason"]) for item in tree["left_out"]}
        return cls(tree["received"], tree["read"], left_out, tuple(tree.get("views", ())))


NOT_COUNTED: Final = ImageCount()
"""Of images that are no series, as one picture of a page."""


def _count(reason: LeftOut, number: int) -> str:
    one, several = _NOUNS[reason]
    return f"{number} {one if number == 1 else several}"


def _listed(uids: list[str]) -> str:
    rest = len(uids) - _MOST_UIDS
    return ", ".join(uids[:_MOST_UIDS]) + (f" and {rest} more" if rest > 0 else "")
