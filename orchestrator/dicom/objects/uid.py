"""UIDs that follow from what they name: the same work gives the same UIDs, other content gives others."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("5b0f4b1c-3a0e-5d1a-9c55-0f3c1a6f2d10")


def derived_uid(*parts: str) -> str:
    """Return the UID 2.25.<n> that these texts name (PS3.5 B.2: a UUID as one decimal number)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"


IMPLEMENTATION_CLASS_UID = derived_uid("implementation class", "radiology-orchestrator")
