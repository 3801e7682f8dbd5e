"""All keys of a model.toml; the reference and the JSON schema are generated from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.domain.model import Accepts, Empty, Intended, Resources
from orchestrator.worker.manifest.input import Input
from orchestrator.worker.manifest.origin import BundleAt, ServedAt, Weights
from orchestrator.worker.manifest.output import DetectionOf, FindingOf, MapOf, MeasurementOf, Output, SegmentOf
from orchestrator.worker.manifest.usage import IntendedFor, ResourceLimits
from orchestrator.worker.manifest.values import (
    Function,
    Inside,
    ManifestTable,
    Pinned,
    Runtime,
    Sha256,
)


class Manifest(ManifestTable):
    """A whole model.toml."""

    contract: Literal[1] = Field(description="`1`")
    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=64)] = Field(
        description="small letters, digits and hyphens; rules and commands use it; two models of one name are both "
        "refused"
    )
    version: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="up to 64 characters; written into the results"
    )
    runtime: Runtime = Field(description="which code runs it; see [the runtimes](#the-runtimes)")
    file: Inside | None = Field(
        default=None,
        description="the network beside this file",
        json_schema_extra={"shown_default": "required for a network unless there are `[[weights]]`"},
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="digest of `file`; another file is refused",
        json_schema_extra={"shown_default": "required with `file`"},
    )
    network: Function | None = Field(
        default=None,
        description='PyTorch: `"module:function"` of this folder, which builds the module that the weights are '
        "loaded into",
        json_schema_extra={"shown_default": "required for PyTorch"},
    )
    entry: Inside | None = Field(
        default=None,
        description="Python: the file or package in this folder that registers the model",
        json_schema_extra={"shown_default": "required in a model folder"},
    )
    requirements: tuple[Pinned, ...] = Field(
        default=(),
        description='all but ONNX: packages of the model\'s own, each pinned (`["scipy==1.17.1"]`); `orchestrator '
        "models install` makes an environment of them",
        json_schema_extra={"shown_default": "none: the host's packages"},
    )
    python: str | None = Field(
        default=None,
        description='all but ONNX: the interpreter that the environment is made with (`"python3.12"`); without '
        "`requirements`, one that has numpy and pluggy; it sees no package of the host's",
        json_schema_extra={"shown_default": "the host's"},
    )
    description: str = Field(
        default="", description="one line for people", json_schema_extra={"shown_default": "empty"}
    )
    manufacturer: Annotated[str, Field(max_length=64)] = Field(
        default="", description="for the equipment named in the results", json_schema_extra={"shown_default": "empty"}
    )
    licence: str = Field(
        default="", description="of network and weights, for people", json_schema_extra={"shown_default": "empty"}
    )
    empty: Empty = Field(
        default=Empty.FAILURE,
        description='what it means when nothing was found: `"negative"` (a result) or `"failure"` (the model '
        "should always find something)",
    )
    qualification: Literal["RESEARCH", "PRODUCT", "SERVICE"] = Field(
        default="RESEARCH", description='`"RESEARCH"`, `"PRODUCT"` or `"SERVICE"` (PS3.3 C.8.13.2.1)'
    )
    parameters: dict[str, str] = Field(
        default={},
        description="a table of text, written into the SR; no patient data",
        json_schema_extra={"shown_default": "empty"},
    )
    bundle: BundleAt | None = None
    remote: ServedAt | None = None
    input: Input = Field(default_factory=Input)
    output: Output = Field(default_factory=Output)
    segment: tuple[SegmentOf, ...] = ()
    map: tuple[MapOf, ...] = ()
    finding: tuple[FindingOf, ...] = ()
    measurement: tuple[MeasurementOf, ...] = ()
    detection: DetectionOf | None = None
    intended: IntendedFor = Field(default_factory=IntendedFor)
    resources: ResourceLimits = Field(default_factory=ResourceLimits)
    weights: tuple[Weights, ...] = ()

    def described(self) -> dict[str, Any]:
        """Return the fields of a ModelDescription that this file has."""
        intended = self.intended.model_dump()
        intended["modality"] = intended["modality"] or self.input.modality
        accepts = {
            key: getattr(self.input, key) for key in ("geometry", "gantry_tilt", "colour", "minimum_slices", "unit")
        }
        plain = ("name", "version", "description", "manufacturer", "licence", "empty", "qualification", "parameters")
        return {
            **{key: getattr(self, key) for key in plain},
            "intended": Intended(**intended),
            "accepts": Accepts(**accepts),
            "resources": Resources(**self.resources.model_dump()),
        }
