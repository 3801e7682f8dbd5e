"""Markdown: headings, tables, names of UIDs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.uid import UID

from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE

_NOT_IN_PYDICOM = {LABEL_MAP_STORAGE: "Label Map Segmentation Storage"}


def name_of(uid: str) -> str:
    """Return the name of a UID of the standard (PS3.6 annex A), the UID itself where it is not known."""
    return _NOT_IN_PYDICOM.get(UID(uid)) or str(UID(uid).name)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a line break in a cell would end it."""
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def uids(found: Iterable[str]) -> str:
    """Return a table of UIDs, each by its name."""
    named = sorted((name_of(uid), str(uid)) for uid in found)
    return table(["name", "UID"], ((name, f"`{uid}`") for name, uid in named))


def page(*parts: str) -> str:
    """Return the parts as one text, an empty line between them."""
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
