"""Unique identifiers from outside, checked before anything is named after them."""

from __future__ import annotations

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Return True for digits and dots only, 64 at most (PS3.5 section 9).

    Zeros before a component are forbidden there and common in practice; they do no harm in a path.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def shown(uid: str) -> str:
    """Return the text where it is a UID, else a stand-in: what is no UID may be a patient's name."""
    return uid if is_uid(uid) else "(not a UID)"
