"""The role watcher refuses what it cannot do, by name and at once, and is had by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.parts.service import run_command, wait_for

READY, STANDS_BY = "the watcher is ready", "another watcher is active for this database"
Watcher = tuple[subprocess.Popen[bytes], Path]

SILENT = '''
"""An archive that takes objects and tells nothing."""
from orchestrator.sdk import hookimpl


class Box:
    name = "box"


@hookimpl
def connect_archive(url, settings):
    return Box() if url.startswith("box://") else None
'''


def test_an_archive_that_tells_nothing_new_cannot_be_watched(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/box.py").write_text(SILENT)
    (tmp_path / "orchestrator.toml").write_text(
        f'[data]\nfolder = "{tmp_path / "data"}"\n\n[models]\nplugins = ["{tmp_path / "plugins"}"]\n\n'
        '[[archive]]\nname = "box"\nurl = "box://here"\nwatch = true\n'
    )
    ended = run_command("serve", "--role", "watcher", "--settings", tmp_path / "orchestrator.toml")
    assert ended.returncode == 2
    assert "archive 'box' cannot be watched: box reports no new series" in ended.stderr.replace("\n", " ")


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Callable[[str], Watcher]]:
    """Return a function that starts a watcher and returns its process and its log."""
    settings = tmp_path / "orchestrator.toml"
    settings.write_text(f'[data]\nfolder = "{tmp_path / "data"}"\n')
    command = [sys.executable, "-m", "orchestrator", "serve", "--role", "watcher", "--settings", str(settings)]
    with ExitStack() as stack:

        def start(name: str) -> Watcher:
            log = tmp_path / f"{name}.log"
            process = subprocess.Popen(command, stderr=stack.enter_context(log.open("wb")))
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process, log

        yield start


def test_a_second_watcher_stands_by_and_takes_over_when_the_first_is_killed(
    watcher: Callable[[str], Watcher],
) -> None:
    first, log = watcher("first")
    wait_for(lambda: READY in log.read_text(), "the first watcher is ready")
    _, log = watcher("second")
    wait_for(lambda: STANDS_BY in log.read_text(), "the second watcher stands by")
    assert READY not in log.read_text()
    first.kill()
    wait_for(lambda: READY in log.read_text(), "the second watcher has taken over")
