"""Finds new files in a folder that is an archive, without taking half-written ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.archive import FolderArchive
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.pipeline.intake import Received

LOOK_SECONDS = 1.0

_Stamp = tuple[int, int]


class FolderWatch:
    """Yields a file once it has been the same for two looks; a changed file is new again."""

    def __init__(self, archive: FolderArchive) -> None:
        self._archive = archive
        self._seen: dict[Path, _Stamp] = {}
        self._taken: dict[Path, _Stamp] = {}
        self._next_look = 0.0

    def new_files(self) -> Iterator[Received]:
        """Yield what is new since the last look; nothing while the folder is away or a look is not due."""
        if time.monotonic() < self._next_look:
            return
        try:
            stamps = {path: stamp for path in self._archive.files() if (stamp := _stamp(path))}
        except (ArchiveUnavailable, OSError):
            stamps = {}
        for path, stamp in stamps.items():
            if self._seen.get(path) == stamp != self._taken.get(path):
                self._taken[path] = stamp
                yield Received(path, source=self._archive.name)
        self._seen = stamps
        self._next_look = time.monotonic() + LOOK_SECONDS


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
