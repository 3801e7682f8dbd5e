"""What stored pixel values mean: their range, the modality transformation, the unit (PS3.3 C.7.6.3, C.11.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from orchestrator.dicom.read import codecs
from orchestrator.dicom.read.attributes import number, text
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import Headers, HeaderValue, PixelLocation

HOUNSFIELD = "[hnsf'U]"
AIR = -1024.0
"""HU given to pixels that a CT marks as padding, outside the reconstructed circle (PS3.3 C.7.5.1.1.2)."""

_UNITS = {"HU": HOUNSFIELD, "MGML": "mg/ml", "PCT": "%", "BQML": "Bq/ml", "GML": "g/ml", "CNTS": "{counts}"}
_SCALED = frozenset({"CT", "PT", "NM"})  # modalities whose values mean nothing without their rescale
_MEASURED = _SCALED | {"MR"}  # MONOCHROME1 says how to show them; the values stay
_CT_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
_PET_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"})
PLAIN = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian})
"""Transfer syntaxes whose values lie in the file as they are computed with."""
NATIVE = PLAIN | {ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
"""Transfer syntaxes without compressed frames."""
_ALLOCATED = {"PixelData": (8, 16, 32), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}


@dataclass(frozen=True, slots=True)
class Stored:
    """The image pixel module of one file.

    inverted: MONOCHROME1 of an image that is only looked at (CR, DX, US ...): values are turned round
        within their stored range, so that more always means brighter.
    padding: lowest and highest stored value that marks a pixel without image; only heeded for HU.
    """

    location: PixelLocation
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    inverted: bool
    padding: tuple[int, int] | None

    @property
    def colour(self) -> bool:
        """True for RGB, YBR and palette colour."""
        return not self.photometric.startswith("MONOCHROME")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The native type of one stored value."""
        if self.location.keyword != "PixelData":
            return np.dtype(f"f{self.bits_allocated // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that can be stored; infinite for floating point."""
        if self.dtype.kind == "f":
            return -math.inf, math.inf
        values = 1 << self.bits_stored
        return (-(values >> 1), (values >> 1) - 1) if self.signed else (0, values - 1)


@dataclass(frozen=True, slots=True)
class Table:
    """A modality LUT: ``outputs[i]`` stands for the stored value ``first + i``, the ends for all beyond."""

    first: int
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rescale:
    """The modality transformation: a table, or slope x stored + intercept, into ``unit`` (UCUM)."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = "1"
    table: Table | None = None

    @property
    def whole(self) -> bool:
        """True where whole numbers stay whole."""
        return self.table is not None or (self.slope.is_integer() and self.intercept.is_integer())

    def range(self, stored: tuple[float, float]) -> tuple[float, float]:
        """Return the lowest and highest value that these stored ones can become."""
        if self.table is not None:
            return min(self.table.outputs), max(self.table.outputs)
        ends = [end * self.slope + self.intercept for end in stored]
        return min(ends), max(ends)


UNSCALED = Rescale()


def stored_values(headers: Headers, location: PixelLocation, frames: int, sop_uid: str) -> Stored:
    """Return the image pixel module of one file.

    Raises UnsupportedInput (UNSUPPORTED_ENCODING, TRUNCATED).
    """
    allocated = _whole(headers, "BitsAllocated", sop_uid)
    floating = location.keyword != "PixelData"
    bits = allocated if floating else _whole(headers, "BitsStored", sop_uid, allocated)
    signed = bool(_whole(headers, "PixelRepresentation", sop_uid, 0))
    photometric = text(headers, "PhotometricInterpretation") or "MONOCHROME2"
    turned = photometric == "MONOCHROME1" and text(headers, "Modality") not in _MEASURED and not floating
    stored = Stored(
        location=location,
        frames=frames,
        rows=_whole(headers, "Rows", sop_uid),
        columns=_whole(headers, "Columns", sop_uid),
        samples=_whole(headers, "SamplesPerPixel", sop_uid, 1),
        photometric=photometric,
        planar=_whole(headers, "PlanarConfiguration", sop_uid, 0),
        bits_allocated=allocated,
        bits_stored=bits,
        high_bit=_whole(headers, "HighBit", sop_uid, bits - 1),
        signed=signed,
        inverted=turned,
        padding=_padding(headers, bits, signed),
    )
    _check(stored, sop_uid)
    return stored


def rescale(headers: Headers, sop_class: str, sop_uid: str, table: Table | None) -> Rescale:
    """Return the modality transformation of one image or frame.

    Raises UnsupportedInput (UNSUPPORTED_ENCODING) where a slope has several values, and where a CT or
    PET image has none: its stored values are neither HU nor activity, and no model would notice.
    """
    unit = _unit(headers)
    if table is not None:
        return Rescale(unit=unit, table=table)
    slope, intercept = (_single(headers, keyword, sop_uid) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if slope is None and intercept is None:
        if sop_class in _CT_CLASSES | _PET_CLASSES:
            raise UnsupportedInput(InputFault.UNSUPPORTED_ENCODING, f"image {sop_uid} has no rescale, so no unit")
        return Rescale(unit="1" if text(headers, "Modality") in _SCALED else unit)
    if slope == 0:
        raise UnsupportedInput(InputFault.UNSUPPORTED_ENCODING, f"image {sop_uid} has a rescale slope of 0")
    return Rescale(1.0 if slope is None else slope, intercept or 0.0, unit)


def common_dtype(images: Iterable[tuple[Stored, Rescale]]) -> np.dtype[Any]:
    """Return the smallest type that holds the values of all the images: uint8, int16, uint16, int32 or float32.

    By what can be stored, not by what one slice happens to hold. HU are int16 whatever the stored
    range: the extended CT scale ends at 30710 HU, and what lies beyond int16 is set to its ends.
    """
    images = list(images)
    if not all(scale.whole and stored.dtype.kind != "f" for stored, scale in images):
        return np.dtype(np.float32)
    if all(scale.unit == HOUNSFIELD for _, scale in images):
        return np.dtype(np.int16)
    ranges = [scale.range(stored.limits) for stored, scale in images]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def _check(stored: Stored, sop_uid: str) -> None:
    """Refuse what no decoder reads, what contradicts itself and what is not all there."""
    location = stored.location
    syntax, encapsulated = location.transfer_syntax, location.offset is not None and location.length is None
    if encapsulated == (syntax in NATIVE) or (encapsulated and not codecs.is_available(syntax)):
        raise _unsupported(sop_uid, f"pixels in an encoding that is not read here, {UID(syntax).name}")
    if stored.bits_allocated not in _ALLOCATED[stored.location.keyword]:
        raise _unsupported(sop_uid, f"{stored.bits_allocated} bits allocated")
    if not 0 < stored.bits_stored <= stored.high_bit + 1 <= stored.bits_allocated:
        raise _unsupported(sop_uid, f"{stored.bits_stored} bits stored up to bit {stored.high_bit}")
    if stored.samples != (3 if stored.colour and stored.photometric != "PALETTE COLOR" else 1):
        raise _unsupported(sop_uid, f"{stored.samples} samples of {stored.photometric}")
    needed = stored.frames * stored.rows * stored.columns * _bytes_per_pixel(stored)
    if location.length is None or location.offset is None:
        return
    present = min(location.length, location.file_size - location.offset)
    if present < needed:
        raise UnsupportedInput(
            InputFault.TRUNCATED, f"image {sop_uid} has {present} bytes of pixels where {needed:g} belong"
        )


def _bytes_per_pixel(stored: Stored) -> float:
    samples = 2 if stored.photometric == "YBR_FULL_422" else stored.samples
    return samples * stored.bits_allocated / 8


def _padding(headers: Headers, bits: int, signed: bool) -> tuple[int, int] | None:
    """Return the padding range as stored values; its VR may be US or SS whatever the pixels are."""
    value, limit = number(headers, "PixelPaddingValue"), number(headers, "PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = sorted(_wrapped(int(end), bits, signed) for end in (value, value if limit is None else limit))
    return ends[0], ends[1]


def _wrapped(value: int, bits: int, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _unit(headers: Headers) -> str:
    modality = text(headers, "Modality")
    named = text(headers, "Units") if modality == "PT" else text(headers, "RescaleType")
    if modality == "CT" and not named:
        named = "HU"  # PS3.3 C.8.2.1.1: Rescale Type may be absent where the output is HU
    return _UNITS.get(named, "1")


def _single(headers: Headers, keyword: str, sop_uid: str) -> float | None:
    """Return the one value of an attribute; the same value written several times counts as one."""
    values: set[HeaderValue] = set(headers.get(keyword, ()))
    if not values:
        return None
    if len(values) > 1 or (value := number(headers, keyword)) is None:
        raise _unsupported(sop_uid, f"no single number as {keyword}")
    return value


def _whole(headers: Headers, keyword: str, sop_uid: str, default: int | None = None) -> int:
    value = number(headers, keyword)
    if value is None and keyword not in headers and default is not None:
        return default
    if value is None or not value.is_integer() or value < 0 or (keyword in {"Rows", "Columns"} and value < 1):
        raise _unsupported(sop_uid, f"no valid {keyword}")
    return int(value)


def _unsupported(sop_uid: str, what: str) -> UnsupportedInput:
    return UnsupportedInput(InputFault.UNSUPPORTED_ENCODING, f"image {sop_uid} has {what}")
