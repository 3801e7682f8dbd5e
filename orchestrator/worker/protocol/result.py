"""Reads and checks what a model process wrote; the host trusts nothing in it unchecked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.checks import check_result
from orchestrator.domain.code import Code
from orchestrator.domain.errors import InputFault, InvalidResult
from orchestrator.domain.model import Accepts, Empty, Intended, Resources
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

LARGEST_DOCUMENT = 64 << 20


class _ModelMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class _Segment(_ModelMessage):
    label: str
    type: Code
    category: Code
    anatomy: Code | None
    laterality: Code | None
    colour: tuple[int, int, int] | None


class _Region(_ModelMessage):
    slice: int
    points: list[tuple[float, float]]
    shape: Shape
    score: float | None
    label: str

    def region(self) -> Region:
        return Region(
            self.slice, np.array(self.points, dtype=np.float64).reshape(-1, 2), self.shape, self.score, self.label
        )


class _Finding(_ModelMessage):
    name: Code
    presence: Presence
    score: float | None
    certainty_percent: float | None
    site: Code | None
    laterality: Code | None
    urgency: Urgency | None
    regions: list[_Region]
    segment: str | None
    images: tuple[ImageScore, ...]

    def finding(self) -> Finding:
        plain = {key: getattr(self, key) for key in _Finding.model_fields if key != "regions"}
        return Finding(**plain, regions=tuple(region.region() for region in self.regions))


class _Map(_ModelMessage):
    name: str
    unit: str
    quantity: Code | None
    range: tuple[float, float] | None


class _Result(_ModelMessage):
    segments: list[_Segment]
    findings: list[_Finding]
    measurements: list[Measurement]
    notes: dict[str, str]
    maps: list[_Map]


def read_result(document: Path, masks: Path, maps: Path, shape: tuple[int, int, int]) -> Result:
    """Return the checked result of a process; its masks and maps are mapped read-only, not copied.

    Raises InvalidResult.
    """
    if document.stat().st_size > LARGEST_DOCUMENT:
        raise InvalidResult("the result without its masks and maps is larger than 64 MiB")
    try:
        message = _Result.model_validate_json(document.read_bytes())
    except ValidationError as invalid:
        raise InvalidResult(f"the result {first_fault(invalid)}") from None
    planes = _map_arrays(masks, "masks", np.dtype(np.uint8), len(message.segments), shape)
    values = _map_arrays(maps, "maps", np.dtype(np.float32), len(message.maps), shape)
    result = Result(
        segments=tuple(
            Segment(mask=mask, **_fields(each)) for each, mask in zip(message.segments, planes, strict=True)
        ),
        findings=tuple(finding.finding() for finding in message.findings),
        measurements=tuple(message.measurements),
        notes=message.notes,
        maps=tuple(HeatMap(values=array, **_fields(each)) for each, array in zip(message.maps, values, strict=True)),
    )
    check_result(result, shape)
    return result


def _fields(message: _Segment | _Map) -> dict[str, Any]:
    """Return the fields with their Python values, not as JSON values."""
    return {key: getattr(message, key) for key in type(message).model_fields}


def _map_arrays(
    file: Path, what: str, dtype: np.dtype[Any], count: int, shape: tuple[int, int, int]
) -> list[npt.NDArray[Any]]:
    """Return the arrays of a file, which follow one another.

    Raises InvalidResult for a file of another size.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    if file.stat().st_size != count * size:
        raise InvalidResult(f"the file of {what} has {file.stat().st_size} bytes, expected {count * size}")
    return [np.memmap(file, dtype=dtype, mode="r", offset=number * size, shape=shape) for number in range(count)]


class ModelAnswer(_ModelMessage):
    """The answer to ``load`` or ``predict``: seconds, device and provider, or the error and its message."""

    error: Literal["not-applicable", "unsupported", "invalid", "memory", "storage", "raised"] | None = None
    message: Annotated[str, Field(max_length=400)] = ""
    fault: InputFault = InputFault.REFUSED_BY_MODEL
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    device: Annotated[str, Field(pattern=r"^(cpu|cuda:\d+)$")] = "cpu"
    provider: Annotated[str, Field(pattern=r"^\w*$", max_length=64)] = ""


class NetworkReport(_ModelMessage):
    """The input and outputs of a network; None for a free dimension.

    outputs: the shape of each output by its name.
    """

    axes: int
    input_channels: int | None
    channels: int | None
    scores: bool
    dimensions: tuple[int | None, ...]
    outputs: dict[str, tuple[int | None, ...]]


class ModelReport(_ModelMessage):
    """The attributes of a model; None for those that it does not have."""

    key: str
    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=64)] | None = None
    version: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    description: str | None = None
    manufacturer: Annotated[str, Field(max_length=64)] | None = None
    licence: str | None = None
    empty: Empty | None = None
    qualification: str | None = None
    parameters: dict[str, str] | None = None
    intended: Intended | None = None
    accepts: Accepts | None = None
    resources: Resources | None = None
    manifest: Path | None = None
    network: NetworkReport | None = None

    def attributes(self) -> dict[str, Any]:
        """Return the fields of a ModelDescription that the model itself has."""
        fields = {
            key: getattr(self, key) for key in ModelReport.model_fields if key not in ("key", "manifest", "network")
        }
        return {key: value for key, value in fields.items() if value is not None}


class PluginReport(_ModelMessage):
    """The hooks and models of a plugin."""

    contract: int
    hooks: tuple[str, ...]
    models: tuple[ModelReport, ...]


def first_fault(invalid: ValidationError) -> str:
    """Return the first fault in words, without the faulty value."""
    error = invalid.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, error['loc'])) or 'as a whole'}: {error['msg']}"
