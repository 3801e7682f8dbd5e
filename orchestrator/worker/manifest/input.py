"""Input of a model: the images that it accepts, and their preparation for the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, computed_field, field_validator, model_validator

from orchestrator.domain.model import Geometry
from orchestrator.worker.manifest.values import (
    ManifestTable,
    Texts,
    Units,
)


class Window(ManifestTable):
    """Values below and above are clipped, those between scaled: ``{min, max}`` or ``{center, width}``."""

    min: float | None = Field(default=None, description="the lowest value that is kept")
    max: float | None = Field(default=None, description="the highest value that is kept")
    center: float | None = Field(default=None, description="the middle of the values that are kept")
    width: PositiveFloat | None = Field(default=None, description="how far they reach from the lowest to the highest")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_ends = self.min is not None and self.max is not None and self.min < self.max
        by_center = self.center is not None and self.width is not None
        if by_ends == by_center or len(self.model_fields_set) != 2:
            raise ValueError("expected {min, max} with min below max, or {center, width}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Return the lowest and the highest value that is kept."""
        if self.min is not None and self.max is not None:
            return self.min, self.max
        assert self.center is not None
        assert self.width is not None
        return self.center - self.width / 2, self.center + self.width / 2


class Input(ManifestTable):
    """Which images the model takes and how its network wants them."""

    modality: Texts = Field(
        default=(),
        description="one or several DICOM modalities; others are `unsupported`",
        json_schema_extra={"shown_default": "any"},
    )
    geometry: Geometry = Field(
        default=Geometry.VOLUME,
        description='`"volume"`: one regular grid; `"stack"`: slices in order; `"image"`: images one by one, no '
        "patient space needed",
    )
    gantry_tilt: bool = Field(default=False, description="whether a sheared volume is taken")
    unit: Units = Field(
        default=(),
        description='unit of the pixel values in UCUM, one or several: `"[hnsf\'U]"` is HU, `"g/ml"` SUV by body '
        'weight, `"mg/ml"` an iodine or material density, `"{Z_eff}"` an effective atomic number; images in other '
        "units are `unsupported`",
        json_schema_extra={"shown_default": "HU for CT, else any"},
    )
    minimum_slices: PositiveInt = Field(default=1, description="fewest slices that are taken")
    colour: bool = Field(default=False, description="give red, green and blue; else colour arrives as luminance")
    neighbours: Annotated[int, Field(ge=0, le=32)] = Field(
        default=0,
        description='for a network of slices ("2.5-D"): how many slices on each side it sees as further channels, '
        'up to 32; not with `colour` or `geometry = "image"`',
    )
    orientation: str | None = Field(
        default=None,
        description='direction in which each axis of the network\'s array grows, first axis first: `"SPL"`, `"RAS"` …',
        json_schema_extra={"shown_default": "the source's axes"},
    )
    spacing: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        description='mm along the network\'s axes; needs `geometry = "volume"`',
        json_schema_extra={"shown_default": "native"},
    )
    size: tuple[PositiveInt, ...] | None = Field(
        default=None,
        description="voxels instead of mm; two numbers: rows and columns of each slice",
        json_schema_extra={"shown_default": "native"},
    )
    window: Window | None = Field(
        default=None, description="`{ min, max }` or `{ center, width }`: clipped, then scaled"
    )
    scale: tuple[float, float] = Field(
        default=(0.0, 1.0), description="the two values that the ends of the window become"
    )
    normalize: Literal["none", "zscore", "minmax"] = Field(
        default="none", description='over the whole volume, after the window: `"none"`, `"zscore"`, `"minmax"`'
    )
    mean: float = Field(default=0.0, description="subtracted, where `normalize` is none")
    std: PositiveFloat = Field(default=1.0, description="divided by, where `normalize` is none")
    patch: tuple[PositiveInt, ...] | None = Field(
        default=None,
        description="size of a window; two numbers for a network of slices, three for one of volumes",
        json_schema_extra={"shown_default": "the network's own, else everything"},
    )
    overlap: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="part of a window that the next one repeats; overlapping scores are averaged, borders weigh less",
    )

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, value: str | None) -> str | None:
        axes = [{"R": "L", "A": "P", "I": "S"}.get(letter, letter) for letter in value or "LPS"]
        if sorted(axes) != ["L", "P", "S"]:
            raise ValueError('expected three letters, one each of L/R, P/A and S/I, such as "RAS"')
        return value

    @field_validator("spacing", "size", "patch")
    @classmethod
    def _two_or_three(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value is not None and len(value) not in (2, 3):
            raise ValueError("expected one number for each axis, two or three")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.geometry is not Geometry.VOLUME and (self.spacing or self.orientation):
            raise ValueError('spacing and orientation need geometry = "volume"')
        if self.spacing and self.size:
            raise ValueError("give spacing or size, not both")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def channels(self) -> int:
        """How many the network is given: red, green and blue, or a slice with its neighbours on both sides."""
        return len("RGB") if self.colour else 1 + 2 * self.neighbours
