"""What processes said of their plugins, kept so that the next start asks only those that changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.durable import write_durably
from orchestrator.worker.process.process import PACKAGE
from orchestrator.worker.protocol.digest import digest
from orchestrator.worker.sources.discovery import ModelSource


class Descriptions:
    """A folder of reports, each named by what it depends on: the source's files, its interpreter and this code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ours = digest([PACKAGE / part for part in ("domain", "sdk", "worker")])

    def find(self, source: ModelSource) -> dict[str, Any] | None:
        """Return the report of this very source, None where it was not described yet."""
        try:
            report = json.loads(self._path(source).read_text())
        except (OSError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def keep(self, source: ModelSource, report: Mapping[str, Any]) -> None:
        """Keep the report; where the folder cannot be written, the next start asks again."""
        path = self._path(source)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, json.dumps(report).encode(), mode=0o666)
        except OSError:
            return

    def _path(self, source: ModelSource) -> Path:
        depends = [self._ours, source.digest, str(source.python), source.plugin(), list(map(str, source.folders))]
        return self._folder / f"{hashlib.sha256(json.dumps(depends).encode()).hexdigest()}.json"
