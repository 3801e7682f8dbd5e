"""Markdown for the statements: pages, tables, names of UIDs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.uid import UID

from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE

_NOT_IN_PYDICOM = {LABEL_MAP_STORAGE: "Label Map Segmentation Storage"}


def name_of(uid: str) -> str:
    """Return the name of a UID of the standard (PS3.6 annex A), the UID itself if it is unknown."""
    return _NOT_IN_PYDICOM.get(UID(uid)) or str(UID(uid).name)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table. Cells must not contain line breaks."""
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def uids(values: Iterable[str]) -> str:
    """Return a table of UIDs, each by its name."""
    rows = sorted((name_of(uid), str(uid)) for uid in values)
    return table(["name", "UID"], ((name, f"`{uid}`") for name, uid in rows))


def page(*parts: str) -> str:
    """Return the parts as one text, separated by empty lines."""
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
