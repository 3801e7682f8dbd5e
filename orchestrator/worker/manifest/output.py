"""Output of a network: how its numbers become segments, maps, findings, boxes and measurements."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from orchestrator.domain.concepts import ANATOMICAL_STRUCTURE
from orchestrator.worker.manifest.values import (
    CONCEPT,
    LATERALITY,
    Concept,
    ManifestTable,
    Unit,
)


class Output(ManifestTable):
    """How the network's numbers become masks, maps or scores."""

    name: str | None = Field(
        default=None,
        description="which output, where there are several",
        json_schema_extra={"shown_default": "the first"},
    )
    activation: Literal["none", "sigmoid", "softmax", "argmax"] = Field(
        default="none", description='`"none"`, `"sigmoid"`, `"softmax"` or `"argmax"` over the channels'
    )
    per: Literal["series", "image"] = Field(
        default="series",
        description='for `[[finding]]`: `"series"`, one score for all images, or `"image"`, a score for each',
    )
    aggregate: Literal["maximum", "mean"] = Field(
        default="maximum",
        description="for `[[finding]]`: how the scores of several windows, or of all images, become one: "
        '`"maximum"` or `"mean"`',
    )
    threshold: float = Field(
        default=0.5, description="a voxel whose score is at least this belongs to the segment (not for argmax)"
    )
    largest_component: bool = Field(default=False, description="keep the largest connected part of each segment only")


class SegmentOf(ManifestTable):
    """One output channel that is a segment."""

    channel: NonNegativeInt = Field(default=0, description="which output channel, counted from 0")
    label: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="what viewers show, up to 64 characters; no patient data"
    )
    type: Concept = Field(description=f"what it is, a concept: {CONCEPT}")
    category: Concept = Field(
        default=ANATOMICAL_STRUCTURE,
        description="what kind of thing that is, a concept",
        json_schema_extra={"shown_default": "anatomical structure"},
    )
    anatomy: Concept | None = Field(
        default=None, description="where in the body, where `type` is a lesion or a tissue; a concept"
    )
    laterality: Concept | None = Field(default=None, description=LATERALITY)
    colour: tuple[int, int, int] | None = Field(
        default=None,
        description="`[red, green, blue]`, each 0 to 255",
        json_schema_extra={"shown_default": "chosen by the host"},
    )


class MapOf(ManifestTable):
    """One output channel that is a map: its values are written as they come out of the activation."""

    channel: NonNegativeInt = Field(
        default=0, description="which output channel, counted from 0; its values are written after the activation"
    )
    name: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="what viewers show, up to 64 characters; no patient data"
    )
    unit: Unit = Field(default="1", description="of the values, in UCUM; `1` where they have none")
    quantity: Concept | None = Field(
        default=None,
        description="what is measured, a concept (CID 7180)",
        json_schema_extra={"shown_default": "none: the name says it"},
    )
    range: tuple[float, float] | None = Field(
        default=None,
        description="`[lowest, highest]` value that colours tell apart",
        json_schema_extra={"shown_default": "those of the values"},
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("expected the range as [lowest, highest]")
        return self


class FindingOf(ManifestTable):
    """One output channel that is the score of a finding."""

    channel: NonNegativeInt = Field(default=0, description="which of the network's scores, counted from 0")
    name: Concept = Field(description=f"what is found, a concept: {CONCEPT}")
    threshold: float = Field(default=0.5, description="present from this score on, else absent")
    calibrated: bool = Field(
        default=False,
        description="the score is a probability that was checked on data: a present finding gets it as certainty "
        "(111012, DCM) in percent too",
    )
    site: Concept | None = Field(default=None, description="where in the body, a concept")
    laterality: Concept | None = Field(default=None, description=LATERALITY)


class DetectionOf(ManifestTable):
    """Which outputs of a network are boxes with their scores, and how the boxes are given."""

    boxes: Annotated[str, Field(min_length=1)] = Field(
        description="name of the output with the boxes: (boxes, 4) or (boxes, 6), a batch axis of one before it or not"
    )
    scores: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="name of the output with the scores: (boxes), or (boxes, classes) without `labels`; without "
        "it, the scores of the classes follow the numbers of each box in `boxes`",
        json_schema_extra={"shown_default": "in `boxes`"},
    )
    labels: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="name of the output with the label of each box: (boxes)",
        json_schema_extra={"shown_default": "none: one class, or a score for each"},
    )
    layout: Literal["rows", "columns"] = Field(
        default="rows",
        description='for boxes and scores in one output: `"rows"`, a box is a row (boxes, numbers), or `"columns"` '
        "(numbers, boxes) as YOLO exports it",
    )
    order: Literal["xyxy", "yxyx", "cxcywh", "xyzxyz", "zyxzyx", "cxcyczwhd"] = Field(
        default="xyxy",
        description='in slices `"xyxy"`, `"yxyx"` (two corners) or `"cxcywh"` (centre and size); in volumes '
        '`"xyzxyz"`, `"zyxzyx"` or `"cxcyczwhd"`; x runs along the last axis of the network\'s '
        "input, y along the one before, z along the first of three",
    )
    unit: Literal["pixel", "fraction"] = Field(
        default="pixel",
        description='`"pixel"`: voxel k reaches from k to k + 1; `"fraction"` of the size of what the network was '
        "given",
    )
    iou: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="of two boxes of a class that overlap by more (intersection over union), the one of the lower "
        "score is dropped; `1` drops none",
    )

    @property
    def axes(self) -> int:
        """Of the boxes: two in a slice, three in a volume."""
        return 3 if "z" in self.order else 2


class MeasurementOf(ManifestTable):
    """A number taken from the voxels of a segment; its volume is measured without being asked."""

    name: Literal["mean", "maximum", "minimum", "volume"] = Field(
        description='`"mean"`, `"maximum"` or `"minimum"` of the images\' own values; `"volume"` is '
        "measured for every segment without being asked"
    )
    segment: str = Field(description="the segment inside which it is measured, named by its label")
