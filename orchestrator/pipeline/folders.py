"""The folders of a job's files: volumes while a model runs, objects until they are delivered."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders below the data folder: ``scratch`` while a model runs, ``outbox`` for written objects."""

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
        """Remove a job's volume and raw result, if there are any."""
        shutil.rmtree(self.scratch_of(job_key), ignore_errors=True)
