"""What can be watched, and what says that it cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.app.service.watcher import _Tools
from orchestrator.config import ArchiveSettings, Settings
from orchestrator.domain.errors import SettingsError


def test_an_archive_that_tells_nothing_new_cannot_be_watched() -> None:
    item = ArchiveSettings(name="vna", url="cloud://somewhere", watch=True)
    none: Any = None
    silent: Any = SimpleNamespace(name="vna")
    tools = _Tools(Settings(archives=(item,)), none, none, none, none, none)
    with pytest.raises(SettingsError, match="archive 'vna' cannot be watched: cloud reports no new series"):
        tools.watch(item, silent)
