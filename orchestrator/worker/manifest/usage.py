"""Intended use of a model, and the resources that it may use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from orchestrator.worker.manifest.values import (
    ManifestTable,
    Texts,
)


class IntendedFor(ManifestTable):
    """For whom the model is; see domain.model.Intended."""

    modality: Texts = Field(
        default=(),
        description="one or several DICOM modalities",
        json_schema_extra={"shown_default": "those of `[input]`"},
    )
    body_part: Texts = Field(
        default=(), description="one or several values of BodyPartExamined", json_schema_extra={"shown_default": "any"}
    )
    sex: Texts = Field(
        default=(), description="one or several values of PatientSex", json_schema_extra={"shown_default": "any"}
    )
    minimum_age_years: float | None = Field(
        default=None, description="youngest patient", json_schema_extra={"shown_default": "any"}
    )
    maximum_age_years: float | None = Field(
        default=None, description="oldest patient", json_schema_extra={"shown_default": "any"}
    )
    contrast: bool | None = Field(
        default=None,
        description="`true`: with contrast agent only; `false`: without only",
        json_schema_extra={"shown_default": "either"},
    )


class ResourceLimits(ManifestTable):
    """What the model may take while it runs; see domain.model.Resources."""

    device: Literal["cpu", "cuda", "any"] = Field(
        default="cpu",
        description='`"cpu"`, `"cuda"` (a GPU, or not at all) or `"any"` (a GPU where there is one with room, else '
        "the CPU); see [GPUs](../how-to/gpu.md)",
    )
    memory_mb: Annotated[int, Field(ge=128)] = Field(
        default=4096,
        description="what room the model is given on its device. On the CPU, the private memory of its process, "
        'the stacks of its threads included: beyond it the job ends with "out of memory". On a GPU, '
        "the arena of onnxruntime",
    )
    timeout_seconds: PositiveFloat = Field(
        default=600.0, description="for loading and for each volume; then the process is killed"
    )
