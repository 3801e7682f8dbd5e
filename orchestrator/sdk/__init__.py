"""The public interface for authors of plugins."""

from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import NotApplicable, UnsupportedInput
from orchestrator.domain.model import Accepts, Empty, Geometry, Intended, Resources
from orchestrator.domain.result import (
    Finding,
    HeatMap,
    ImageScore,
    Measurement,
    Presence,
    Region,
    Result,
    Segment,
    Shape,
    Urgency,
)
from orchestrator.domain.volume import Volume
from orchestrator.sdk.hookspecs import Model, Register, hookimpl

__all__ = [
    "Accepts",
    "Code",
    "Empty",
    "Finding",
    "Geometry",
    "HeatMap",
    "ImageScore",
    "Intended",
    "Measurement",
    "Model",
    "NotApplicable",
    "Presence",
    "Region",
    "Register",
    "Resources",
    "Result",
    "Segment",
    "Shape",
    "UnsupportedInput",
    "Urgency",
    "Volume",
    "codes",
    "hookimpl",
]
