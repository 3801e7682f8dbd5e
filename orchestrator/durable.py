"""Writes files and folders that survive a power failure; only this module syncs to disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

_MOST_FOLDERS = 512
"""Folders to remember: making one again costs a millisecond, and a set without a limit would grow with each series."""


def sync_content(file: BinaryIO) -> None:
    """Write the content of the open file to the disk, without its times."""
    file.flush()
    os.fdatasync(file.fileno())


def sync_file(path: Path) -> None:
    """Write the content and the times of the file to the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Write the names in the folder to the disk (POSIX: a new name is durable only then)."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def write_durably(target: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write the content to the target and sync it; readers see all of the new content or none of it.

    The target's folder must exist and be durable. mode: of the file, whatever the umask.
    Raises OSError; then the target is unchanged and no incomplete file stays.
    """
    temporary = target.with_name(f".{uuid4().hex}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            sync_content(file)
        temporary.rename(target)
    except BaseException:  # also KeyboardInterrupt
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


class DurableFolders:
    """Makes folders below a root, each once, and syncs their parents.

    mode: of the new folders, whatever the umask.
    """

    def __init__(self, root: Path, *, mode: Callable[[], int] = lambda: 0o700) -> None:
        self._root = root
        self._mode = mode
        self._known: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Make the folder and its parents, and sync their names."""
        if folder in self._known or folder == self._root:
            return
        self.make(folder.parent)
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(self._mode())
        sync_folder(folder.parent)
        if len(self._known) >= _MOST_FOLDERS:
            self._known.clear()
        self._known.add(folder)

    def forget(self, folder: Path) -> None:
        """Make the folder and its parents again next time; call this after they were removed."""
        self._known -= {folder, *folder.parents}


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
