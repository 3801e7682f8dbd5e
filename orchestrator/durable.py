"""Files and folders that survive a loss of power: the one place that syncs to disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

_REMEMBERED = 512
"""Folders: made again they cost a millisecond; a set that grows by one for each series would look like a leak."""


def sync_content(file: BinaryIO) -> None:
    """Return when what was written to the open file is on the disk; its times may be not."""
    file.flush()
    os.fdatasync(file.fileno())


def sync_file(path: Path) -> None:
    """Return when the content and the times of the file are on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Return when the names in the folder are on the disk (POSIX: a new name is durable only then)."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def write_durably(target: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Return when the target holds the content on the disk; a reader sees all of it or nothing.

    The target's folder exists and is durable. mode: of the file, less the umask.
    Raises OSError; the target is as it was then, and no half-written file stays.
    """
    temporary = target.with_name(f".{uuid4().hex}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            sync_content(file)
        temporary.rename(target)
    except BaseException:  # interrupted too
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


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
        """Make the folder and its parents again next time: somebody removed them."""
        self._made -= {folder, *folder.parents}


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
