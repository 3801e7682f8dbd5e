"""Every fault has a name here; each message names the thing, what was found and what to do.

Messages carry UIDs, names of models, rules and files of ours, never patient data.
"""

from __future__ import annotations

from enum import StrEnum


class OrchestratorError(Exception):
    """Base of every error this project raises on purpose."""


class UserError(OrchestratorError, ValueError):
    """Something a person wrote is wrong; the command line prints it and exits with status 2."""


class SettingsError(UserError):
    """A setting is unknown, missing or out of range."""


class RulesError(UserError):
    """The rules file has faults; the message lists all of them with their lines."""


class ManifestError(UserError):
    """A model.toml has faults; the message names file and line."""


class UnknownConcept(UserError, LookupError):
    """A coded concept was asked for by a name that the dictionary lacks."""


class UnknownRecord(UserError, LookupError):
    """A job, series or result was asked for that the ledger does not hold."""


class ForbiddenTransition(UserError):
    """A job or review cannot go from its state to the one asked for."""


class IncompleteVerdict(UserError):
    """A verdict lacks what it needs: a name, a reason, a comment or a changed value."""


class InputFault(StrEnum):
    """Why a series cannot be given to a model (the outcome is then ``unsupported``)."""

    UNREADABLE = "unreadable"
    NO_PIXELS = "no-pixels"
    NO_GEOMETRY = "no-geometry"
    TRUNCATED = "truncated"
    MISSING_SLICE = "missing-slice"
    DUPLICATE_POSITION = "duplicate-position"
    IRREGULAR_SPACING = "irregular-spacing"
    MIXED_ORIENTATION = "mixed-orientation"
    MIXED_SIZE = "mixed-size"
    MIXED_SERIES = "mixed-series"
    MIXED_PATIENT = "mixed-patient"
    SEVERAL_TIME_POINTS = "several-time-points"
    GANTRY_TILT = "gantry-tilt"
    LOCALIZER = "localizer"
    TOO_FEW_SLICES = "too-few-slices"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    OUTSIDE_INTENDED_USE = "outside-intended-use"
    NO_IDENTITY = "no-identity"
    REFUSED_BY_MODEL = "refused-by-model"


class UnsupportedInput(OrchestratorError, ValueError):
    """The input is sound or not, but this model must not be run on it."""

    def __init__(self, fault: InputFault | str, reason: str = "") -> None:
        if not reason:
            fault, reason = InputFault.REFUSED_BY_MODEL, str(fault)
        self.fault = InputFault(fault)
        self.reason = reason
        super().__init__(f"{self.fault}: {reason}")

    def __reduce__(self) -> tuple[type[UnsupportedInput], tuple[str, str]]:
        return (type(self), (str(self.fault), self.reason))


class NotApplicable(OrchestratorError, ValueError):
    """The model has nothing to say about this input, as a spine model about a foot (outcome ``not-applicable``)."""


class UnreadableFile(OrchestratorError, ValueError):
    """A file is no DICOM, or broken; it never stops the files beside it."""


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
    """The memory of a GPU did not suffice; a model that may take any device goes on on the CPU."""


class DeviceUnavailable(InferenceError):
    """The model needs a device that this machine does not have or that the model's runtime cannot use."""


class RemoteUnavailable(InferenceError):
    """A model server does not answer, or is not ready, now; the same attempt may go through later."""


class RemoteTimeout(InferenceError):
    """A model server took longer to answer than the manifest allows."""


class RemoteFailed(InferenceError):
    """A model server answered with an error, or with something that is no answer."""


class EgressRefused(OrchestratorError):
    """The settings do not let this leave for that place."""


class SandboxUnavailable(OrchestratorError):
    """The kernel cannot give the cage that the settings require."""


class PackageError(OrchestratorError):
    """A file of a Python package cannot be had here, or is not the one that was declared."""


class WeightsError(PackageError):
    """Weights are missing, differ from their declared digest or could not be converted."""


class EnvironmentMissing(OrchestratorError):
    """A model's own virtual environment is not there, is of other requirements, or could not be made."""


class PluginError(OrchestratorError):
    """A host plugin raised or broke its contract; the message names it."""


class ConformanceError(OrchestratorError):
    """An object that was written breaks a rule of results.md and must not leave."""


class NotComparable(OrchestratorError, ValueError):
    """Two segmentations do not lie on the same images and grid, so that nothing can be said of their agreement."""


class ArchiveError(OrchestratorError):
    """Base of what can go wrong with an archive."""


class ArchiveUnavailable(ArchiveError):
    """The archive does not answer now; the same attempt may go through later."""


class ArchiveRefused(ArchiveError):
    """The archive answered and said no."""


class ObjectRefused(ArchiveRefused):
    """The archive takes no object of this SOP class, or not in its encoding; the others may be welcome."""

    def __init__(self, message: str, sop_class: str) -> None:
        self.sop_class = sop_class
        super().__init__(message)

    def __reduce__(self) -> tuple[type[ObjectRefused], tuple[str, str]]:
        return (type(self), (str(self), self.sop_class))


class Unconfirmed(ArchiveError):
    """The archive took the objects and has not said yet that it has them; it may say so later."""


class IdentityChanged(ArchiveError):
    """The archive holds the study under another patient or accession than the result was written for."""


class SourceMissing(ArchiveError):
    """The archive does not hold the source images that the result refers to."""


class StorageFull(OrchestratorError):
    """The disk is above its watermark; nothing more is accepted until space is made."""
