"""Finds new files in a folder that is an archive, without taking half-written ones.

The system tells at once which files changed. Of a folder that another machine writes to (NFS, SMB) it tells nothing,
so the whole folder is looked through as well, as often as that costs little.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.archive import Arrival, FolderArchive
from orchestrator.domain.errors import ArchiveUnavailable

LOOK_SECONDS = 1.0
WALK_SHARE = 0.05
"""Of the time, that looking the whole folder through may take: every second where it takes 50 ms or less."""
AGAIN_SECONDS = 10.0  # the system is asked once more to tell of changes

_GROUPED_MS = 200  # changes told together
_Stamp = tuple[int, int]
log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # its lines quote names of files


class FolderWatch:
    """Yields a file once it has been the same for two looks; a changed file is new again."""

    def __init__(self, archive: FolderArchive) -> None:
        self._archive = archive
        self._changes = _Changes(archive)
        self._coming: dict[Path, _Stamp] = {}
        self._taken: dict[Path, _Stamp] = {}
        self._next_look = self._next_walk = 0.0

    def close(self) -> None:
        """Be told of nothing more."""
        self._changes.close()

    def new_files(self) -> Iterator[Arrival]:
        """Yield what is new since the last look; nothing while the folder is away or a look is not due."""
        if time.monotonic() < self._next_look:
            return
        looked, self._coming = self._coming, {}
        for path, stamp in self._stamps([*looked, *self._changes.taken()]).items():
            if self._taken.get(path) == stamp:
                continue
            if looked.get(path) == stamp:
                self._taken[path] = stamp
                yield Arrival(path=path, source=self._archive.name)
            else:
                self._coming[path] = stamp
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _stamps(self, told: list[Path]) -> dict[Path, _Stamp]:
        """Return time and size of the files that may be new: all of them where a walk is due."""
        try:
            if time.monotonic() >= self._next_walk:
                return self._walked()
            files = [file for path in dict.fromkeys(told) for file in self._archive.below(path)]
        except (ArchiveUnavailable, OSError):
            return {}
        return {path: stamp for path in files if (stamp := _stamp(path))}

    def _walked(self) -> dict[Path, _Stamp]:
        begun = time.monotonic()
        stamps = {path: stamp for path in self._archive.files() if (stamp := _stamp(path))}
        self._taken = {path: stamp for path, stamp in self._taken.items() if path in stamps}
        ended = time.monotonic()
        self._next_walk = ended + max(LOOK_SECONDS, (ended - begun) / WALK_SHARE)
        return stamps


class _Changes:
    """What the system tells of a folder, in a thread of its own; while the folder is away it tells nothing."""

    def __init__(self, archive: FolderArchive) -> None:
        self._archive = archive
        self._paths: set[Path] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._follow, name=f"changes of {archive.name}", daemon=True).start()

    def close(self) -> None:
        self._stop.set()

    def taken(self) -> list[Path]:
        """Return the files and folders that came or changed since this was last asked."""
        with self._lock:
            paths, self._paths = self._paths, set()
        return sorted(paths)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (OSError, RuntimeError) as fault:  # the folder is away, or the system follows no further one
                reason = type(fault).__name__  # its message would quote the names of files
                log.debug("changes of %s are found by looking it through (%s)", self._archive.name, reason)
                self._stop.wait(AGAIN_SECONDS)

    def _listen(self) -> None:
        import watchfiles  # only where a folder is watched

        changes = watchfiles.watch(
            self._archive.folder,
            watch_filter=None,
            debounce=_GROUPED_MS,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for told in changes:
            with self._lock:
                self._paths |= {Path(path) for change, path in told if change is not watchfiles.Change.deleted}


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
