"""What the flow needs from the world outside, as Protocols; adapters implement them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from orchestrator.domain.model import ModelDescription
from orchestrator.domain.result import Result
from orchestrator.domain.series import StudyIdentity
from orchestrator.domain.volume import Volume


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """Enough of an object to ask an archive for it."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str


class Archive(Protocol):
    """A place that keeps DICOM objects; every call may raise ArchiveUnavailable or ArchiveRefused."""

    @property
    def name(self) -> str:
        """The archive's name in the settings."""

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study."""

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold."""

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one association and return when each was answered with success."""

    def echo(self) -> float:
        """Return the seconds that the archive took to answer a C-ECHO or its like."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What came of one successful attempt.

    device: where it ran; notes: the result's own, the execution provider, and why it ran on the CPU where
    a GPU was meant.
    """

    result: Result
    device: str
    seconds: float
    notes: Mapping[str, str] = field(default_factory=dict)


class Runner(Protocol):
    """Runs models in processes of their own; a folder holds one volume and, later, its result."""

    def models(self) -> Mapping[str, ModelDescription]:
        """Return the models that can be run, by name."""

    def check_device(self, model: str) -> None:
        """Return where this machine has a device that the model can run on.

        Raises DeviceUnavailable.
        """

    def allocate(self, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a writable array, memory-mapped in the folder, that the worker will map too."""

    def predict(self, model: str, volume: Volume, folder: Path) -> Prediction:
        """Return the model's checked result, kept in the folder as well.

        volume.voxels must be the array that ``allocate`` gave for the folder.
        Raises NotApplicable, UnsupportedInput, InvalidResult or an InferenceError.
        """

    def kept(self, folder: Path) -> Prediction:
        """Return the prediction that ``predict`` left in the folder, after a restart too."""
