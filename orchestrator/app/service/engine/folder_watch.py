"""Finds new files in a watched folder, and never a half-written one.

The system notifies of changed files at once, but not in a folder that another machine writes to (NFS, SMB). So the
whole folder is scanned as well, as often as that costs little.
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
SCAN_SHARE = 0.05
"""Share of the time that scans may take: a folder is scanned every second if a scan takes 50 ms or less."""
RETRY_SECONDS = 10.0  # until the next attempt to get notifications

_GROUP_MS = 200  # changes within this time come together
_Stamp = tuple[int, int]
"""Time of the last change in ns, and size in bytes."""
log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # its lines quote names of files


class FolderWatch:
    """Yields each file that did not change between two looks; a changed file is new again."""

    def __init__(self, archive: FolderArchive) -> None:
        self._archive = archive
        self._changes = _Changes(archive)
        self._growing: dict[Path, _Stamp] = {}
        self._known: dict[Path, _Stamp] = {}
        self._next_look = self._next_scan = 0.0

    def close(self) -> None:
        """Stop watching."""
        self._changes.close()

    def new_files(self) -> Iterator[Arrival]:
        """Yield what is new since the last look; nothing while the folder is missing or no look is due."""
        if time.monotonic() < self._next_look:
            return
        before, self._growing = self._growing, {}
        for path, stamp in self._stamps([*before, *self._changes.pop()]).items():
            if self._known.get(path) == stamp:
                continue
            if before.get(path) == stamp:
                self._known[path] = stamp
                yield Arrival(path=path, source=self._archive.name)
            else:
                self._growing[path] = stamp
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _stamps(self, changed: list[Path]) -> dict[Path, _Stamp]:
        """Return time and size of the files that may be new: of all files where a scan is due."""
        try:
            if time.monotonic() >= self._next_scan:
                return self._scan()
            files = [file for path in dict.fromkeys(changed) for file in self._archive.below(path)]
        except (ArchiveUnavailable, OSError):
            return {}
        return {path: stamp for path in files if (stamp := _stamp(path))}

    def _scan(self) -> dict[Path, _Stamp]:
        start = time.monotonic()
        stamps = {path: stamp for path in self._archive.files() if (stamp := _stamp(path))}
        self._known = {path: stamp for path, stamp in self._known.items() if path in stamps}
        end = time.monotonic()
        self._next_scan = end + max(LOOK_SECONDS, (end - start) / SCAN_SHARE)
        return stamps


class _Changes:
    """Collects the system's notifications about a folder, in a thread; there are none while the folder is missing."""

    def __init__(self, archive: FolderArchive) -> None:
        self._archive = archive
        self._paths: set[Path] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._follow, name=f"changes of {archive.name}", daemon=True).start()

    def close(self) -> None:
        self._stop.set()

    def pop(self) -> list[Path]:
        """Return the files and folders that came or changed since the last call."""
        with self._lock:
            paths, self._paths = self._paths, set()
        return sorted(paths)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (OSError, RuntimeError) as fault:  # the folder is missing, or the system watches no further one
                reason = type(fault).__name__  # its message would quote the names of files
                log.debug("no file notifications for %s (%s); scanning instead", self._archive.name, reason)
                self._stop.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        import watchfiles  # only where a folder is watched

        changes = watchfiles.watch(
            self._archive.folder,
            watch_filter=None,
            debounce=_GROUP_MS,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for group in changes:
            with self._lock:
                self._paths |= {Path(path) for change, path in group if change is not watchfiles.Change.deleted}


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
