"""The named errors. Each message says what happened, why, and what to do.

Messages carry UIDs and the names of models, rules and files, never patient data.
"""

from __future__ import annotations

from enum import StrEnum


class OrchestratorError(Exception):
    """Base class of all errors that this project raises itself."""


class UserError(OrchestratorError, ValueError):
    """A person's input is wrong; the command line prints the message and exits with status 2."""


class SettingsError(UserError):
    """A setting is unknown, missing or out of range."""


class RulesError(UserError):
    """The rules file has faults; the message lists all of them with their lines."""


class ManifestError(UserError):
    """A model.toml has faults; the message names file and line."""


class UnknownConcept(UserError, LookupError):
    """The dictionary of coded concepts has no concept of this name."""


class UnknownRecord(UserError, LookupError):
    """The ledger holds no such job, series or result."""


class ForbiddenTransition(UserError):
    """A job or review cannot move from its state to the requested one."""


class IncompleteVerdict(UserError):
    """A verdict lacks what it needs: a name, a reason, a comment or a changed value."""


class InputFault(StrEnum):
    """Why a model cannot take a series; the outcome is ``unsupported``."""

    UNREADABLE = "unreadable"
    NO_PIXELS = "no-pixels"
    NO_GEOMETRY = "no-geometry"
    TRUNCATED = "truncated"
    SHIFTED = "shifted"
    MISSING_SLICE = "missing-slice"
    DUPLICATE_POSITION = "duplicate-position"
    IRREGULAR_SPACING = "irregular-spacing"
    MIXED_ORIENTATION = "mixed-orientation"
    MIXED_SIZE = "mixed-size"
    MIXED_SERIES = "mixed-series"
    MIXED_PATIENT = "mixed-patient"
    SHARED_UID = "shared-uid"
    SEVERAL_TIME_POINTS = "several-time-points"
    SEVERAL_RECONSTRUCTIONS = "several-reconstructions"
    MOSAIC = "mosaic"
    GANTRY_TILT = "gantry-tilt"
    LOCALIZER = "localizer"
    TOO_FEW_SLICES = "too-few-slices"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    WRONG_UNIT = "wrong-unit"
    TOO_LARGE = "too-large"
    UNSUPPORTED_CLASS = "unsupported-class"
    OUTSIDE_INTENDED_USE = "outside-intended-use"
    NO_IDENTITY = "no-identity"
    REFUSED_BY_MODEL = "refused-by-model"


class UnsupportedInput(OrchestratorError, ValueError):
    """This model must not run on this input, whether the input is sound or not."""

    def __init__(self, fault: InputFault | str, reason: str = "") -> None:
        if not reason:
            fault, reason = InputFault.REFUSED_BY_MODEL, str(fault)
        self.fault = InputFault(fault)
        self.reason = reason
        super().__init__(f"{self.fault}: {reason}")

    def __reduce__(self) -> tuple[type[UnsupportedInput], tuple[str, str]]:
        return (type(self), (str(self.fault), self.reason))


class UnreadablePixels(UnsupportedInput):
    """The pixels of some images cannot be decoded; the other images of the series can be read.

    sop_uids: SOP Instance UIDs of these images.
    """

    def __init__(self, sop_uids: tuple[str, ...], reason: str) -> None:
        self.sop_uids = sop_uids
        super().__init__(InputFault.UNREADABLE, reason)

    def __reduce__(self) -> tuple[type[UnreadablePixels], tuple[tuple[str, ...], str]]:  # type: ignore[override]
        return (type(self), (self.sop_uids, self.reason))


class NotApplicable(OrchestratorError, ValueError):
    """The model does not apply to this input, for example a spine model to a foot; outcome ``not-applicable``."""


class UnreadableFile(OrchestratorError, ValueError):
    """A file is not DICOM, or is broken; other files are still read."""


class InvalidResult(OrchestratorError, ValueError):
    """A model returned something that is not a Result on its input's grid."""


class InferenceError(OrchestratorError):
    """An attempt to run a model ended without a result."""


class ModelRaised(InferenceError):
    """The model's own code raised an exception."""


class WorkerCrashed(InferenceError):
    """The worker process died (abort, signal, exit) during the attempt."""


class WorkerTimeout(InferenceError):
    """The model took longer than it declared and its process was killed."""


class WorkerOutOfMemory(InferenceError):
    """The model asked for more memory than it declared."""


class DeviceOutOfMemory(WorkerOutOfMemory):
    """The GPU ran out of memory; a model that may run on any device continues on the CPU."""


class DeviceUnavailable(InferenceError):
    """The model needs a device that this machine does not have or that the model's runtime cannot use."""


class RemoteUnavailable(InferenceError):
    """A model server does not answer or is not ready; a retry may succeed."""


class RemoteTimeout(InferenceError):
    """A model server took longer to answer than the manifest allows."""


class RemoteFailed(InferenceError):
    """A model server answered with an error or an invalid answer."""


class EgressRefused(OrchestratorError):
    """The settings do not allow sending to this address."""


class SandboxUnavailable(OrchestratorError):
    """The kernel cannot give the cage that the settings require."""


class PackageError(OrchestratorError):
    """A file of a Python package is not available, or differs from the declared one."""


class WeightsError(PackageError):
    """Weights are missing, differ from their declared digest or could not be converted."""


class EnvironmentMissing(OrchestratorError):
    """A model's own virtual environment is missing, outdated, or could not be created."""


class PluginError(OrchestratorError):
    """A host plugin raised or broke its contract; the message names it."""


class ConformanceError(OrchestratorError):
    """A written object breaks a conformance rule and must not leave this host."""


class NotComparable(OrchestratorError, ValueError):
    """Two segmentations lie on different images or grids, so their agreement cannot be computed."""


class ArchiveError(OrchestratorError):
    """Base class of errors of an archive."""


class ArchiveUnavailable(ArchiveError):
    """The archive does not answer; a retry may succeed."""


class ArchiveRefused(ArchiveError):
    """The archive answered with a refusal."""


class ObjectRefused(ArchiveRefused):
    """The archive accepts no object of this SOP class or encoding; it may accept others."""

    def __init__(self, message: str, sop_class: str) -> None:
        self.sop_class = sop_class
        super().__init__(message)

    def __reduce__(self) -> tuple[type[ObjectRefused], tuple[str, str]]:
        return (type(self), (str(self), self.sop_class))


class Unconfirmed(ArchiveError):
    """The archive accepted the objects and has not confirmed them yet."""


class IdentityChanged(ArchiveError):
    """The archive holds the study under another patient or accession than the result was written for."""


class SourceMissing(ArchiveError):
    """The archive does not hold the source images that the result refers to."""


class StorageFull(OrchestratorError):
    """The disk is above its watermark; the host accepts nothing until there is space."""
