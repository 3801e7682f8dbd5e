"""A watched folder: each file once, when it is whole, whether the system tells of it or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.service.engine import folder_watch
from orchestrator.app.service.engine.folder_watch import FolderWatch
from orchestrator.archive import FolderArchive


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "LOOK_SECONDS", 0.02)


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is looked through once, at the beginning: later on the system has to tell."""
    monkeypatch.setattr(folder_watch, "SCAN_SHARE", 1e-9)


@pytest.fixture
def walked_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells nothing, as of a network mount."""

    def none(_: object) -> None:
        raise OSError("no space left on device")  # inotify's word for too many watches

    monkeypatch.setattr(folder_watch._Changes, "_listen", none)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def watching(folder: Path) -> Iterator[FolderWatch]:
    with closing(FolderWatch(FolderArchive("files", folder))) as watching:
        _until_followed(folder, watching)
        yield watching


def _until_followed(folder: Path, watching: FolderWatch) -> None:
    """Return once changes are found, by whichever way: the system is asked in a thread that may begin late."""
    probe, deadline, found = folder / "probe", time.monotonic() + 60, list[str]()
    while not found:
        assert time.monotonic() < deadline
        with probe.open("ab") as growing:
            growing.write(b"x")
        found = _looks(watching, 20)
    probe.unlink()
    _looks(watching, 10)


def _looks(watching: FolderWatch, count: int) -> list[str]:
    """Return the names of the files that so many looks find."""
    found: list[str] = []
    for _ in range(count):
        time.sleep(0.03)
        found += [received.path.name for received in watching.new_files()]
    return found


def _found(watching: FolderWatch, count: int) -> list[str]:
    """Return what is found until there is so much of it, and in some more looks."""
    found: list[str] = []
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        found += _looks(watching, 1)
    return sorted(found + _looks(watching, 5))


@pytest.fixture(params=["told_only", "walked_only"])
def either_way(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


@pytest.mark.usefixtures("either_way")
class TestEitherWay:
    def test_each_file_is_found_once(self, folder: Path, watching: FolderWatch) -> None:
        (folder / "a").write_bytes(b"1")
        (folder / "study").mkdir()
        (folder / "study/b").write_bytes(b"2")
        assert _found(watching, 2) == ["a", "b"]

    def test_a_changed_file_is_found_again(self, folder: Path, watching: FolderWatch) -> None:
        (folder / "a").write_bytes(b"1")
        assert _found(watching, 1) == ["a"]
        (folder / "a").write_bytes(b"more")
        assert _found(watching, 1) == ["a"]

    def test_a_folder_that_is_moved_in_is_found_with_all_that_is_in_it(
        self, folder: Path, watching: FolderWatch
    ) -> None:
        whole = folder.parent / "study/series"
        whole.mkdir(parents=True)
        for name in "ab":
            (whole / name).write_bytes(b"1")
        whole.parent.rename(folder / "study")
        assert _found(watching, 2) == ["a", "b"]

    def test_hidden_files_are_passed_over(self, folder: Path, watching: FolderWatch) -> None:
        (folder / ".hidden").mkdir()
        (folder / ".hidden/a").write_bytes(b"1")
        (folder / ".b").write_bytes(b"1")
        (folder / "c").write_bytes(b"1")
        assert _found(watching, 1) == ["c"]


def test_a_file_that_grows_is_not_taken_before_it_rests(folder: Path, watching: FolderWatch) -> None:
    found: list[str] = []
    with (folder / "a").open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x")
            found += _looks(watching, 1)
    assert found == []
    assert _found(watching, 1) == ["a"]


def test_what_was_there_before_is_found(folder: Path) -> None:
    (folder / "a").write_bytes(b"1")
    with closing(FolderWatch(FolderArchive("files", folder))) as watching:
        assert _found(watching, 1) == ["a"]


def test_a_folder_that_is_away_is_taken_up_when_it_is_back(folder: Path, watching: FolderWatch) -> None:
    folder.rename(folder.with_name("away"))
    assert _looks(watching, 3) == []
    (folder.with_name("away") / "a").write_bytes(b"1")
    folder.with_name("away").rename(folder)
    assert _found(watching, 1) == ["a"]
