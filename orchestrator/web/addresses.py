"""The parts of addresses and forms, each with its bounds."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, StringConstraints

Key = Annotated[str, Path(pattern=r"^[0-9a-f]{6,64}$")]
"""A job key or the beginning of one."""
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
"""A DICOM UID (PS3.5 9.1)."""


def _writable(text: str) -> str:
    """Return the text where a DICOM object can hold it: no backslash, no control characters (PS3.5 6.2, LO and PN)."""
    if "\\" in text or not text.isprintable():
        raise ValueError("names hold no backslash and no control characters")
    return text


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), AfterValidator(_writable)]
"""Name of a person or organization."""
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
