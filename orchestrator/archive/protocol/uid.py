"""Checks UIDs from outside before they become file names or parts of log lines."""

from __future__ import annotations

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Return True for at most 64 digits and dots (PS3.5 section 9).

    Leading zeros of a component are allowed here: the standard forbids them, and many devices send them.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def printable_uid(uid: str) -> str:
    """Return the text where it is a UID, else a placeholder: other text may be a patient's name."""
    return uid if is_uid(uid) else "(not a UID)"
