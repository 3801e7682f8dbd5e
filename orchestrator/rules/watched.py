"""A rules file that a person may change while the host runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from orchestrator.domain.errors import RulesError
from orchestrator.rules.loading import default_rules, load_rules
from orchestrator.rules.ruleset import RuleSet

SETTLED_SECONDS = 1.0
"""A file younger than this may still be half written: cut between two rules it would look sound."""

_Stamp = tuple[int, int, int]


class WatchedRules:
    """The rules in force: those of the newest version of the file without faults."""

    def __init__(
        self,
        path: Path | None,
        *,
        models: Collection[str] | None = None,
        extra_facts: Mapping[str, str] | None = None,
    ) -> None:
        """Read the file; None stands for the shipped rules.

        Raises RulesError: the host does not start on faulty rules.
        """
        self._path = path
        self._models = models
        self._extra_facts = extra_facts
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._stamp = self._look()
        self._rules = default_rules() if path is None else self._read(path)

    @property
    def fault(self) -> str | None:
        """What is wrong with the file as it is now, None where it is the one in force."""
        return self._fault

    def current(self) -> RuleSet:
        """Return the rules in force, after a look at whether the file has changed."""
        with self._lock:
            stamp = self._look()
            if self._path is not None and stamp != self._stamp and not _is_fresh(stamp):
                self._stamp = stamp
                self._take(self._path)
            return self._rules

    def _take(self, path: Path) -> None:
        try:
            self._rules, self._fault = self._read(path), None
        except RulesError as fault:
            self._fault = str(fault)

    def _read(self, path: Path) -> RuleSet:
        return load_rules(path, models=self._models, extra_facts=self._extra_facts)

    def _look(self) -> _Stamp | None:
        """Return what changes when the file does; None where it is gone."""
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


def _is_fresh(stamp: _Stamp | None) -> bool:
    return stamp is not None and 0 <= time.time() - stamp[0] / 1e9 < SETTLED_SECONDS
