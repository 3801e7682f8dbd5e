"""Folders are made once, each durable in its parent; what is remembered of them stays small."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.archive.spool import durable
from orchestrator.archive.spool.durable import DurableFolders


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
    monkeypatch.setattr(durable, "_REMEMBERED", 8)
    folders = DurableFolders(tmp_path)
    for number in range(50):
        folders.make(tmp_path / str(number))
    assert len(list(tmp_path.iterdir())) == 50
    assert len(folders._made) <= 8
