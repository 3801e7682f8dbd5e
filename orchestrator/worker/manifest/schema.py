"""What may stand in a model.toml; docs/reference/model-toml.md is the same in words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    WithJsonSchema,
    computed_field,
    field_validator,
    model_validator,
)

from orchestrator.domain.code import Code
from orchestrator.domain.concepts import ANATOMICAL_STRUCTURE, codes
from orchestrator.domain.model import Accepts, Empty, Geometry, Intended, Resources
from orchestrator.domain.unit import unit_fault


def _code(value: Any) -> Any:
    """Return the concept named in plain English, or given as [value, scheme, meaning]."""
    if isinstance(value, str):
        return codes[value]
    if isinstance(value, list) and len(value) == 3 and all(isinstance(part, str) for part in value):
        return Code(*value)
    raise ValueError('expected a plain name such as "liver", or [value, scheme, meaning]')


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _inside(value: str) -> str:
    """Refuse a file name that leaves the folder it is meant to lie in."""
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path inside the folder")
    return value


def _server(value: str) -> str:
    """Refuse what names no server; a user or a query would be a secret in a file that is none."""
    parts = urlsplit(value)
    plain = not (parts.query or parts.fragment or parts.username) and ".." not in parts.path and parts.port != 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("expected http://host:port or https://host:port; a path may follow, no user and no query")
    return value.rstrip("/")


def _pinned(value: str) -> str:
    """Refuse what is no requirement on one version: a result must follow from what the manifest says."""
    from packaging.requirements import InvalidRequirement, Requirement  # few models need it, all would wait for it

    try:
        requirement = Requirement(value)
    except InvalidRequirement:
        raise ValueError(f'{value!r} is no requirement such as "scipy==1.17.1"') from None
    exact = [one for one in requirement.specifier if one.operator == "==" and not one.version.endswith(".*")]
    if not exact or requirement.url:
        raise ValueError(f'{value!r} names no version; pin it, such as "{requirement.name}==1.2.3"')
    return value


def _unit(value: str) -> str:
    """Refuse what is no unit in UCUM."""
    if fault := unit_fault(value):
        raise ValueError(fault)
    return value


Concept = Annotated[Code, BeforeValidator(_code)]
Unit = Annotated[str, AfterValidator(_unit)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Inside = Annotated[str, Field(min_length=1), AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Pinned = Annotated[str, AfterValidator(_pinned)]
ServedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
Runtime = Literal["onnx", "torchscript", "pytorch", "monai-bundle", "remote", "python"]


class Section(BaseModel):
    """A part of the file: unknown keys are faults, values are not bent into another type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # built when the first manifest is read, not by every command
    )


class Window(Section):
    """Values below and above are clipped, those between scaled: ``{min, max}`` or ``{center, width}``."""

    min: float | None = None
    max: float | None = None
    center: float | None = None
    width: PositiveFloat | None = None

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


class Input(Section):
    """Which images the model takes and how its network wants them."""

    modality: Texts = ()
    geometry: Geometry = Geometry.VOLUME
    gantry_tilt: bool = False
    colour: bool = False
    neighbours: Annotated[int, Field(ge=0, le=32)] = 0
    minimum_slices: PositiveInt = 1
    orientation: str | None = None
    spacing: tuple[PositiveFloat, ...] | None = None
    size: tuple[PositiveInt, ...] | None = None
    window: Window | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    normalize: Literal["none", "zscore", "minmax"] = "none"
    mean: float = 0.0
    std: PositiveFloat = 1.0
    patch: tuple[PositiveInt, ...] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.0

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


class Output(Section):
    """How the network's numbers become masks, maps or scores."""

    name: str | None = None
    activation: Literal["none", "sigmoid", "softmax", "argmax"] = "none"
    threshold: float = 0.5
    largest_component: bool = False
    per: Literal["series", "image"] = "series"
    aggregate: Literal["maximum", "mean"] = "maximum"


class SegmentOf(Section):
    """One output channel that is a segment."""

    channel: NonNegativeInt = 0
    label: Annotated[str, Field(min_length=1, max_length=64)]
    type: Concept
    category: Concept = ANATOMICAL_STRUCTURE
    anatomy: Concept | None = None
    laterality: Concept | None = None
    colour: tuple[int, int, int] | None = None


class MapOf(Section):
    """One output channel that is a map: its values are written as they come out of the activation."""

    channel: NonNegativeInt = 0
    name: Annotated[str, Field(min_length=1, max_length=64)]
    unit: Unit = "1"
    quantity: Concept | None = None
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("expected the range as [lowest, highest]")
        return self


class FindingOf(Section):
    """One output channel that is the score of a finding."""

    channel: NonNegativeInt = 0
    name: Concept
    threshold: float = 0.5
    calibrated: bool = False
    site: Concept | None = None
    laterality: Concept | None = None


class DetectionOf(Section):
    """Which outputs of a network are boxes with their scores, and how the boxes are given."""

    boxes: Annotated[str, Field(min_length=1)]
    scores: Annotated[str, Field(min_length=1)] | None = None
    labels: Annotated[str, Field(min_length=1)] | None = None
    layout: Literal["rows", "columns"] = "rows"
    order: Literal["xyxy", "yxyx", "cxcywh", "xyzxyz", "zyxzyx", "cxcyczwhd"] = "xyxy"
    unit: Literal["pixel", "fraction"] = "pixel"
    iou: Annotated[float, Field(gt=0, le=1)] = 0.5

    @property
    def axes(self) -> int:
        """Of the boxes: two in a slice, three in a volume."""
        return 3 if "z" in self.order else 2


class MeasurementOf(Section):
    """A number taken from the voxels of a segment; its volume is measured without being asked."""

    name: Literal["mean", "maximum", "minimum", "volume"]
    segment: str


class BundleAt(Section):
    """A MONAI bundle, and the digest of the very files that a person of this site trusts: a bundle is code.

    path: its folder, seen from this file; weights: the file in it, by default models/model.pt or models/model.ts.
    """

    path: Annotated[str, Field(min_length=1)]
    sha256: Sha256 | None = None
    weights: Inside | None = None


class ServedAt(Section):
    """Where a model of runtime "remote" is served; see domain.remote.RemoteModel."""

    url: Annotated[str, AfterValidator(_server)]
    model: ServedName
    version: ServedName | None = None
    input: str | None = None
    timeout_seconds: PositiveFloat = 60.0


class IntendedFor(Section):
    """For whom the model is; see domain.model.Intended."""

    modality: Texts = ()
    body_part: Texts = ()
    sex: Texts = ()
    minimum_age_years: float | None = None
    maximum_age_years: float | None = None
    contrast: bool | None = None


class Needs(Section):
    """What the model may take while it runs; see domain.model.Resources."""

    device: Literal["cpu", "cuda", "any"] = "cpu"
    memory_mb: Annotated[int, Field(ge=128)] = 4096
    timeout_seconds: PositiveFloat = 600.0


class Weights(Section):
    """One file of weights that lies in a wheel on the Python package index."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")]
    path: Inside
    sha256: Sha256
    file: Inside | None = None
    convert: Function | None = None
    fingerprint: Sha256 | None = None

    @model_validator(mode="after")
    def _converted(self) -> Self:
        if self.convert and not (self.file and self.fingerprint):
            raise ValueError("convert needs file, the name of what it makes, and fingerprint, the sha256 of it")
        return self

    @property
    def target(self) -> str:
        """Return the name of the file in the weights folder that the model is given."""
        return self.file or PurePosixPath(self.path).name


class Manifest(Section):
    """A whole model.toml."""

    contract: Literal[1]
    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=64)]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    description: str = ""
    manufacturer: Annotated[str, Field(max_length=64)] = ""
    licence: str = ""
    runtime: Runtime
    file: Inside | None = None
    sha256: Sha256 | None = None
    network: Function | None = None
    bundle: BundleAt | None = None
    remote: ServedAt | None = None
    entry: Inside | None = None
    python: str | None = None
    requirements: tuple[Pinned, ...] = ()
    empty: Empty = Empty.FAILURE
    qualification: Literal["RESEARCH", "PRODUCT", "SERVICE"] = "RESEARCH"
    parameters: dict[str, str] = {}
    input: Input = Field(default_factory=Input)
    output: Output = Field(default_factory=Output)
    segment: tuple[SegmentOf, ...] = ()
    map: tuple[MapOf, ...] = ()
    finding: tuple[FindingOf, ...] = ()
    measurement: tuple[MeasurementOf, ...] = ()
    detection: DetectionOf | None = None
    intended: IntendedFor = Field(default_factory=IntendedFor)
    resources: Needs = Field(default_factory=Needs)
    weights: tuple[Weights, ...] = ()

    def described(self) -> dict[str, Any]:
        """Return the fields of a ModelDescription that this file states."""
        intended = self.intended.model_dump()
        intended["modality"] = intended["modality"] or self.input.modality
        accepts = {key: getattr(self.input, key) for key in ("geometry", "gantry_tilt", "colour", "minimum_slices")}
        plain = ("name", "version", "description", "manufacturer", "licence", "empty", "qualification", "parameters")
        return {
            **{key: getattr(self, key) for key in plain},
            "intended": Intended(**intended),
            "accepts": Accepts(**accepts),
            "resources": Resources(**self.resources.model_dump()),
        }
