"""The rules file, read again when somebody changes it while the host runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from orchestrator.domain.errors import RulesError
from orchestrator.rules.loading import default_rules, load_rules
from orchestrator.rules.ruleset import RuleSet

SETTLED_SECONDS = 1.0
"""A file that changed more recently may be half written: cut between two rules it would still look valid."""

_Stamp = tuple[int, int, int]


class RulesFile:
    """The rules in force: those of the newest valid version of the file."""

    def __init__(
        self,
        path: Path | None,
        *,
        models: Collection[str] | None = None,
        extra_facts: Mapping[str, str] | None = None,
    ) -> None:
        """Read the file; None means the shipped rules.

        Raises RulesError for a file with faults, so that the host does not start.
        """
        self._path = path
        self._models = models
        self._extra_facts = extra_facts
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._stamp = self._read_stamp()
        self._rules = default_rules() if path is None else self._read(path)

    @property
    def fault(self) -> str | None:
        """What is wrong with the present version of the file, None where its rules are in force."""
        return self._fault

    def current(self) -> RuleSet:
        """Return the rules in force; reads the file again if it has changed."""
        with self._lock:
            stamp = self._read_stamp()
            if self._path is not None and stamp != self._stamp and not _is_recent(stamp):
                self._stamp = stamp
                self._reload(self._path)
            return self._rules

    def _reload(self, path: Path) -> None:
        try:
            self._rules, self._fault = self._read(path), None
        except RulesError as fault:
            self._fault = str(fault)

    def _read(self, path: Path) -> RuleSet:
        return load_rules(path, models=self._models, extra_facts=self._extra_facts)

    def _read_stamp(self) -> _Stamp | None:
        """Return time, size and inode of the file, which change with it; None where the file is missing."""
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


def _is_recent(stamp: _Stamp | None) -> bool:
    return stamp is not None and 0 <= time.time() - stamp[0] / 1e9 < SETTLED_SECONDS
