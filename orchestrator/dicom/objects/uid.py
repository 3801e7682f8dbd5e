"""Derives UIDs from text: the same work gets the same UIDs, other content gets other UIDs."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("5b0f4b1c-3a0e-5d1a-9c55-0f3c1a6f2d10")


def derive_uid(*parts: str) -> str:
    """Return a UID 2.25.<n> (PS3.5 B.2: a UUID as one decimal number) derived from these texts."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"


IMPLEMENTATION_CLASS_UID = derive_uid("implementation class", "radiology-orchestrator")
