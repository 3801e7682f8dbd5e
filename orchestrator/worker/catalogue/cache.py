"""Caches the reports of plugins, so that the next start asks only plugins that changed."""

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


class ReportCache:
    """A folder of reports. The name of a report is a digest of the source's files, its interpreter and this code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._code_digest = digest([PACKAGE / part for part in ("domain", "sdk", "worker")])

    def find(self, source: ModelSource) -> dict[str, Any] | None:
        """Return the report of this version of the source, None where there is none."""
        try:
            report = json.loads(self._path(source).read_text())
        except (OSError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def store(self, source: ModelSource, report: Mapping[str, Any]) -> None:
        """Store the report; if the folder is not writable, the next start asks the plugin again."""
        path = self._path(source)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, json.dumps(report).encode(), mode=0o644)
        except OSError:
            return

    def _path(self, source: ModelSource) -> Path:
        inputs = [self._code_digest, source.digest, str(source.python), source.plugin(), list(map(str, source.folders))]
        return self._folder / f"{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}.json"
