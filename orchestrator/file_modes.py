"""Who may read the files that the host makes: patients' data its own account alone, models every account."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PRIVATE = 0o077
_READ_AND_WRITE = 0o666


def keep_private() -> None:
    """Let this process, and those that it starts, make files that only its own account can read."""
    os.umask(_PRIVATE)


@contextmanager
def shared() -> Iterator[None]:
    """Let files be readable by every account meanwhile: models and weights, which the service's account must read.

    For commands of one thread only: the umask is that of the process.
    """
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def folder_mode(folder: Path) -> int:
    """Return the mode of a folder, with its set-group-ID bit."""
    return stat.S_IMODE(folder.stat().st_mode)


def file_mode_in(folder: Path) -> int:
    """Return the mode for a file that is to be as readable as this folder."""
    return folder_mode(folder) & _READ_AND_WRITE


def is_open_to_others(path: Path) -> bool:
    """Return whether accounts that are neither the owner nor in the group may read, write or enter the path."""
    return bool(folder_mode(path) & stat.S_IRWXO)
