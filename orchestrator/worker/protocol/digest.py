"""Computes one digest over folders; standard library only, since the model process computes it too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path


def digest(places: Sequence[Path], *, every_file: bool = False) -> str:
    """Return the SHA-256 over names and contents of all files there; the order of the folder does not matter.

    Left out: compiled and hidden files, documentation, the model's own virtual environment.
    every_file: for code that is trusted by its digest alone. Only hidden names and ``__pycache__`` are then left
    out, which no import can reach.
    """
    total = hashlib.sha256()
    for place in places:
        for file in [place] if place.is_file() else sorted(_files(place, every_file)):
            name = file.name if file == place else file.relative_to(place).as_posix()
            with file.open("rb") as content:
                total.update(f"{name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _files(folder: Path, every_file: bool) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir() and (every_file or _is_code(entry)):
            yield from _files(entry, every_file)
        elif entry.is_file() and (every_file or entry.suffix not in (".md", ".pyc")):
            yield entry


def _is_code(folder: Path) -> bool:
    return folder.name != "node_modules" and not (folder / "pyvenv.cfg").exists()
