"""The parts that the flow is built from; the assembly in ``app`` chooses the concrete ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.domain.ports import Archive, Runner
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Headers, Series
from orchestrator.jobs import Ledger
from orchestrator.rules import RuleSet


class Observers(Protocol):
    """Host plugins, asked and told one by one."""

    def series_facts(self, series: Series) -> Headers:
        """Return the facts that plugins add for rules."""

    def extra_objects(self, job: JobRecord, result: Result, sources: Sequence[Path]) -> Sequence[Any]:
        """Return further datasets to send with a result.

        Raises PluginError; the attempt has failed then.
        """

    def result_delivered(self, job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
        """Tell that an archive confirmed the objects; what a plugin raises is logged only."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go.

    ask: whether the archive can be asked for the study before sending; False is an explicit setting.
    confirm: ``readback``, or ``none`` (the delivery is then recorded as "sent, unconfirmed").
    """

    name: str
    archive: Archive
    ask: bool = True
    confirm: str = "readback"
    retry_hours: float = 72.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the flow keeps its files: ``scratch`` while a model runs, ``outbox`` what is to be sent."""

    scratch: Path
    outbox: Path

    def scratch_of(self, job_key: str) -> Path:
        """Return the folder of a job's volume and raw result."""
        return self.scratch / job_key

    def part_of(self, job_key: str, number: int) -> Path:
        """Return the folder of one volume of a job and of its raw result."""
        return self.scratch_of(job_key) / f"part-{number}"

    @staticmethod
    def job_of(part: Path) -> str:
        """Return the key of the job that a folder of ``part_of`` belongs to."""
        return part.parent.name

    def outbox_of(self, job_key: str) -> Path:
        """Return the folder of a job's DICOM objects."""
        return self.outbox / job_key

    def clear_scratch(self, job_key: str) -> None:
        """Remove a job's volume and raw result; nothing there is fine."""
        shutil.rmtree(self.scratch_of(job_key), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the flow calls."""

    ledger: Ledger
    runner: Runner
    rules: Callable[[], RuleSet]
    destinations: Mapping[str, Destination]
    folders: Folders
    observers: Observers
    label_map: bool = False
