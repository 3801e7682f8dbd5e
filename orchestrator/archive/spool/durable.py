"""Files and folders that survive a loss of power."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Return when the names in the folder are on the disk (POSIX: a new name is durable only then)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_REMEMBERED = 512
"""Folders: made again they cost a millisecond; a set that grows by one for each series would look like a leak."""


class DurableFolders:
    """Makes folders below a root once, each with its name durable in its parent."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Return when the folder is there and durable."""
        if folder in self._made or folder == self._root:
            return
        self.make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        if len(self._made) >= _REMEMBERED:
            self._made.clear()
        self._made.add(folder)

    def forget(self, folder: Path) -> None:
        """Make the folder and its parents anew next time: somebody removed them."""
        self._made -= {folder, *folder.parents}


def write_durably(temporary: Path, content: bytes, target: Path) -> None:
    """Return when the target holds the content on the disk; a reader sees all of it or nothing.

    ``temporary`` lies on the same file system; the target's folder exists and is durable.
    """
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fdatasync(file.fileno())
        temporary.rename(target)
    except BaseException:  # interrupted too: no half-written file stays
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
