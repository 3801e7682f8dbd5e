"""The result of a model: segments, findings, measurements and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain import concepts
from orchestrator.domain.code import Code


class Presence(StrEnum):
    """CID 240: whether a finding is there."""

    PRESENT = "present"
    ABSENT = "absent"
    UNDETERMINED = "undetermined"


class Urgency(StrEnum):
    """ACR actionable finding categories (CID 7035)."""

    IMMEDIATE = "immediate"  # category 1: minutes
    URGENT = "urgent"  # category 2: hours
    NON_URGENT = "non-urgent"  # category 3: days


class Shape(StrEnum):
    """How the points of a Region are joined."""

    POINT = "point"
    POLYGON = "polygon"


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A region of the volume's own grid.

    label: at most 64 characters, shown by viewers; no patient data.
    mask: (slice, row, column) bool or uint8 0/1, the shape of the volume that was given.
    type: what it is (CID 7151 / 7166 ...), e.g. ``codes["liver"]``.
    category: CID 7150; Anatomical Structure unless said otherwise.
    anatomy: the site, where ``type`` is a lesion or a tissue.
    laterality: CID 244; checked against the patient-space centroid by the host.
    """

    label: str
    mask: npt.NDArray[Any]
    type: Code
    category: Code = concepts.ANATOMICAL_STRUCTURE
    anatomy: Code | None = None
    laterality: Code | None = None
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its coded name and UCUM unit.

    segment: label of the Segment it was measured on; None = on the series as a whole.
    The volume of each segment is measured by the host on the grid of the written SEG and need
    not be given.
    """

    name: Code
    value: float
    unit: str
    segment: str | None = None
    method: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A place on one image: points (n, 2) as (row, column), pixel centres at whole numbers.

    slice: index into the volume's first axis.
    """

    slice: int
    points: npt.NDArray[np.float64]
    shape: Shape = Shape.POLYGON
    score: float | None = None
    label: str = ""

    @classmethod
    def box(
        cls,
        slice: int,
        top: float,
        left: float,
        bottom: float,
        right: float,
        *,
        score: float | None = None,
        label: str = "",
    ) -> Region:
        """Return the rectangle with these edges in pixels (row, column)."""
        corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
        return cls(slice, np.array(corners, dtype=np.float64), Shape.POLYGON, score, label)

    @classmethod
    def point(cls, slice: int, row: float, column: float, *, score: float | None = None, label: str = "") -> Region:
        """Return a single point in pixels (row, column)."""
        return cls(slice, np.array([(row, column)], dtype=np.float64), Shape.POINT, score, label)


@dataclass(frozen=True, slots=True)
class ImageScore:
    """An image that shows a finding, as a whole: where on it is not said.

    slice: index into the volume's first axis. score: the model's raw output for this image, in 0..1.
    """

    slice: int
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A statement that something is present, absent or undetermined.

    score: the model's raw output in 0..1; it is written as a score, never as a probability.
    certainty_percent: only for a calibrated model whose manifest says so (111012, DCM).
    segment: label of the Segment that shows it, if one does.
    images: those that show it, where a model judges image by image and marks no place; not beside regions or segment.
    """

    name: Code
    presence: Presence = Presence.PRESENT
    score: float | None = None
    certainty_percent: float | None = None
    site: Code | None = None
    laterality: Code | None = None
    urgency: Urgency | None = None
    regions: Sequence[Region] = ()
    segment: str | None = None
    images: Sequence[ImageScore] = ()


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A number for every voxel of the volume's own grid: a likelihood, a saliency, a diffusion coefficient.

    name: at most 64 characters, shown by viewers; no patient data. Two maps of one result differ in it.
    values: (slice, row, column) of finite numbers in ``unit``, the shape of the volume that was given;
        written as float32.
    unit: UCUM; ``1`` where the values have none.
    quantity: what is measured (CID 7180 ...); None where the name alone says it.
    range: the lowest and the highest value that colours tell apart; None = those of the values.
    """

    name: str
    values: npt.NDArray[Any]
    unit: str = "1"
    quantity: Code | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Everything a model says about one volume."""

    segments: Sequence[Segment] = ()
    findings: Sequence[Finding] = ()
    measurements: Sequence[Measurement] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    maps: Sequence[HeatMap] = ()
