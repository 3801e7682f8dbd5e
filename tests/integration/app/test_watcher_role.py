"""The role watcher refuses what it cannot do, by name and at once."""

from __future__ import annotations

from pathlib import Path

from tests.parts.service import run_command

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
    assert "archive 'box' cannot be watched: box tells nothing of what is new" in ended.stderr.replace("\n", " ")
