"""Files are whole or as they were; folders are made once, each durable in its parent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestrator import durable
from orchestrator.durable import DurableFolders, write_durably


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were synced, in order."""
    seen: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", seen.append)
    return seen


def test_a_folder_is_made_once_and_durable_in_its_parent(tmp_path: Path, synced: list[Path]) -> None:
    folders = DurableFolders(tmp_path)
    for _ in range(3):
        folders.make(tmp_path / "study/series")
    assert (tmp_path / "study/series").is_dir()
    assert synced == [tmp_path, tmp_path / "study"]


def test_a_folder_that_was_removed_is_made_anew(tmp_path: Path, synced: list[Path]) -> None:
    folders = DurableFolders(tmp_path)
    folders.make(tmp_path / "study")
    (tmp_path / "study").rmdir()
    folders.forget(tmp_path / "study")
    folders.make(tmp_path / "study")
    assert (tmp_path / "study").is_dir()


def test_many_folders_are_made_and_few_are_remembered(
    tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_MOST_FOLDERS", 8)
    folders = DurableFolders(tmp_path)
    for number in range(50):
        folders.make(tmp_path / str(number))
    assert len(list(tmp_path.iterdir())) == 50
    assert len(folders._known) <= 8


def test_a_file_is_written_whole_with_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    for mode in (0o600, 0o644):
        write_durably(tmp_path / "file", b"content", mode=mode)
        assert (tmp_path / "file").read_bytes() == b"content"
        assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    write_durably(tmp_path / "file", b"before")
    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="no space"):
        write_durably(tmp_path / "file", b"after")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
