"""The description of a model: intended use, accepted input, resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CONTRACT = 1
"""Version of the plugin contract; arguments may be added, their meaning never changes."""


class Geometry(StrEnum):
    """The geometry that a model accepts.

    VOLUME: one regular grid in patient space (equal spacing, one orientation, no slice missing).
    STACK: slices of one size and orientation in order; the affine is None where the spacing is irregular.
    IMAGE: images one by one, no patient space needed (CR, DX, US, Secondary Capture).
    """

    VOLUME = "volume"
    STACK = "stack"
    IMAGE = "image"


class Empty(StrEnum):
    """Meaning of an empty result: a negative result, or a failure of a model that must always find something."""

    NEGATIVE = "negative"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """Intended use; a series outside it, or with unknown values, is ``unsupported``.

    Empty = no restriction. body_part and modality hold DICOM defined terms; age from
    PatientBirthDate and StudyDate, else PatientAge; contrast = ContrastBolusAgent present or not.
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    minimum_age_years: float | None = None
    maximum_age_years: float | None = None
    contrast: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """The input that the model accepts.

    unit: the units (UCUM) of the pixel values; empty: HU where the images are CT, any unit of other modalities.
    """

    geometry: Geometry = Geometry.VOLUME
    gantry_tilt: bool = False
    colour: bool = False
    minimum_slices: int = 1
    unit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the model needs while it runs; the host kills it when it uses more."""

    device: str = "cpu"  # cpu | cuda | any
    memory_mb: int = 4096
    timeout_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """One version of one model, as the host knows it.

    digest: sha256 over its code and weights; part of every job key and written into the SR.
    qualification: RESEARCH unless the manifest states an approved product (PS3.3 C.8.13.2.1).
    parameters: written into the SR; no patient data.
    origin: where it came from, for people ("entry point of radiology-orchestrator 0.1").
    """

    name: str
    version: str
    digest: str
    description: str = ""
    manufacturer: str = ""
    licence: str = ""
    runtime: str = "python"
    origin: str = ""
    intended: Intended = field(default_factory=Intended)
    accepts: Accepts = field(default_factory=Accepts)
    resources: Resources = field(default_factory=Resources)
    empty: Empty = Empty.FAILURE
    qualification: str = "RESEARCH"
    parameters: Mapping[str, str] = field(default_factory=dict)
    contract: int = CONTRACT
