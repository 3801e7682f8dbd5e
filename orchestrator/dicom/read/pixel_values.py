"""The meaning of stored pixel values: range, modality transformation, unit (PS3.3 C.7.6.3, C.11.1)."""

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

from orchestrator.dicom.headers.attributes import number, text
from orchestrator.dicom.read import codecs
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.series import Headers, HeaderValue, PixelLocation

HOUNSFIELD = "[hnsf'U]"
AIR = -1024.0
"""HU of the pixels that a CT marks as padding, outside the reconstructed circle (PS3.3 C.7.5.1.1.2)."""

_UNITS = {
    **{"HU": HOUNSFIELD, "HU_MOD": HOUNSFIELD, "MGML": "mg/ml", "PCT": "%"},
    **{"Z_EFF": "{Z_eff}", "ED": "10*23/ml", "EDW": "{ED_water}", "OD": "{OD}"},
    **{"BQML": "Bq/ml", "GML": "g/ml", "CNTS": "{counts}"},
}
"""Rescale Type (PS3.3 C.11.1.1.2) and Units of PET (C.8.9.1.1.3) -> UCUM."""
_UNSPECIFIED = "US"
_INTERCEPT_OF_AIR = -1000.0
_SCALED = frozenset({"CT", "PT", "NM"})  # modalities whose values have no meaning without rescale
_MEASURED = _SCALED | {"MR"}  # MONOCHROME1 only says how to display them: the values are not inverted
CT_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
_PET_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"})
PLAIN = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian})
"""Transfer syntaxes whose pixel values can be read in place."""
NATIVE = PLAIN | {ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
"""Transfer syntaxes without compressed frames."""
DECODED_AT_MOST = 8 << 30
"""Most bytes of pixels that compressed or deflated files of one volume may decode to."""
_BYTES_PER_FRAME = 8  # a compressed frame is in at least one item (PS3.5 A.4); deflated zeros of 64 x 64 pixels
_ALLOCATED = {"PixelData": (8, 16, 32), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """The image pixel module of one file (PS3.3 C.7.6.3).

    inverted: the image is MONOCHROME1 and not a measurement (CR, DX, US ...): its values are inverted
        within the stored range, so that higher always means brighter.
    padding: lowest and highest stored value of pixels without image; used for HU only.
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
        """Whether the image is in colour: RGB, YBR or palette."""
        return not self.photometric.startswith("MONOCHROME")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The native type of one stored value."""
        if self.location.keyword != "PixelData":
            return np.dtype(f"f{self.bits_allocated // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame in its native encoding (PS3.5 8.1.1)."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated // 8

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that can be stored; infinite for floating point."""
        if self.dtype.kind == "f":
            return -math.inf, math.inf
        values = 1 << self.bits_stored
        return (-(values >> 1), (values >> 1) - 1) if self.signed else (0, values - 1)


@dataclass(frozen=True, slots=True)
class Table:
    """A modality LUT: ``outputs[i]`` for the stored value ``first + i``; the ends apply beyond them."""

    first: int
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rescale:
    """The modality transformation to ``unit`` (UCUM): a table, or slope x stored value + intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = "1"
    table: Table | None = None

    @property
    def whole(self) -> bool:
        """Whether whole numbers stay whole numbers."""
        return self.table is not None or (self.slope.is_integer() and self.intercept.is_integer())

    def range(self, limits: tuple[float, float]) -> tuple[float, float]:
        """Return the lowest and highest output for stored values within the limits."""
        if self.table is not None:
            return min(self.table.outputs), max(self.table.outputs)
        ends = [end * self.slope + self.intercept for end in limits]
        return min(ends), max(ends)


UNSCALED = Rescale()


def pixel_layout(headers: Headers, location: PixelLocation, frames: int, sop_uid: str) -> PixelLayout:
    """Return the image pixel module of one file.

    Raises UnsupportedInput (UNSUPPORTED_ENCODING, TRUNCATED).
    """
    bits_allocated = _whole(headers, "BitsAllocated", sop_uid)
    floating = location.keyword != "PixelData"
    bits = bits_allocated if floating else _whole(headers, "BitsStored", sop_uid, bits_allocated)
    is_signed = bool(_whole(headers, "PixelRepresentation", sop_uid, 0))
    photometric = text(headers, "PhotometricInterpretation") or "MONOCHROME2"
    invert = photometric == "MONOCHROME1" and text(headers, "Modality") not in _MEASURED and not floating
    layout = PixelLayout(
        location=location,
        frames=frames,
        rows=_whole(headers, "Rows", sop_uid),
        columns=_whole(headers, "Columns", sop_uid),
        samples=_whole(headers, "SamplesPerPixel", sop_uid, 1),
        photometric=photometric,
        planar=_whole(headers, "PlanarConfiguration", sop_uid, 0),
        bits_allocated=bits_allocated,
        bits_stored=bits,
        high_bit=_whole(headers, "HighBit", sop_uid, bits - 1),
        signed=is_signed,
        inverted=invert,
        padding=_padding(headers, bits, signed=is_signed),
    )
    _check_layout(layout, sop_uid)
    return layout


def read_rescale(headers: Headers, sop_class: str, sop_uid: str, table: Table | None) -> Rescale:
    """Return the modality transformation of one image or frame.

    Raises UnsupportedInput (UNSUPPORTED_ENCODING) where slope or intercept have several values, and where a CT or
    PET image has none of them: no model would notice that its values are not HU or activity.
    """
    unit = unit_of(headers)
    if table is not None:
        return Rescale(unit=unit, table=table)
    slope, intercept = (_single(headers, keyword, sop_uid) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if slope is None and intercept is None:
        if sop_class in CT_CLASSES | _PET_CLASSES:
            raise UnsupportedInput(
                InputFault.UNSUPPORTED_ENCODING, f"image {sop_uid} has neither rescale slope nor intercept"
            )
        return Rescale(unit="1" if text(headers, "Modality") in _SCALED else unit)
    if slope == 0:
        raise _unsupported(sop_uid, "a rescale slope of 0")
    return Rescale(1.0 if slope is None else slope, intercept or 0.0, unit)


def common_dtype(images: Iterable[tuple[PixelLayout, Rescale]]) -> np.dtype[Any]:
    """Return the smallest type for the values of all images: uint8, int16, uint16, int32 or float32.

    The range that can be stored counts, not the values of one slice. HU are always int16: the extended CT scale
    ends at 30710 HU, and values beyond int16 are clipped.
    """
    images = list(images)
    if not all(scale.whole and layout.dtype.kind != "f" for layout, scale in images):
        return np.dtype(np.float32)
    if all(scale.unit == HOUNSFIELD for _, scale in images):
        return np.dtype(np.int16)
    ranges = [scale.range(layout.limits) for layout, scale in images]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def _check_layout(layout: PixelLayout, sop_uid: str) -> None:
    """Refuse encodings without decoder, contradicting attributes and truncated pixel data."""
    location = layout.location
    syntax, encapsulated = location.transfer_syntax, location.offset is not None and location.length is None
    if encapsulated == (syntax in NATIVE) or (encapsulated and not codecs.is_available(syntax)):
        raise _unsupported(sop_uid, f"pixels in an unsupported encoding, {UID(syntax).name}")
    if layout.bits_allocated not in _ALLOCATED[layout.location.keyword]:
        raise _unsupported(sop_uid, f"{layout.bits_allocated} bits allocated")
    if not 0 < layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated:
        raise _unsupported(sop_uid, f"{layout.bits_stored} bits stored up to bit {layout.high_bit}")
    if layout.samples != (3 if layout.colour and layout.photometric != "PALETTE COLOR" else 1):
        raise _unsupported(sop_uid, f"{layout.samples} samples of {layout.photometric}")
    expected = layout.frames * layout.frame_bytes
    if layout.frames > location.file_size // _BYTES_PER_FRAME:  # memory is needed for each frame, whatever its size
        raise UnsupportedInput(
            InputFault.TRUNCATED,
            f"image {sop_uid} declares {layout.frames} frames in a file of {location.file_size} bytes",
        )
    if location.length is None or location.offset is None:
        _check_decoded_size(expected, sop_uid)
        return
    present = min(location.length, location.file_size - location.offset)
    if present < expected:
        raise UnsupportedInput(
            InputFault.TRUNCATED, f"image {sop_uid} has {present} bytes of pixels, expected {expected}"
        )


def _check_decoded_size(expected: int, sop_uid: str) -> None:
    """Refuse a compressed or deflated file whose pixels would be larger than this host decodes."""
    if expected > DECODED_AT_MOST:
        raise UnsupportedInput(
            InputFault.TOO_LARGE,
            f"image {sop_uid} decodes to {expected >> 20} MiB of pixels; the limit is {DECODED_AT_MOST >> 20} MiB",
        )


def _padding(headers: Headers, bits: int, *, signed: bool) -> tuple[int, int] | None:
    """Return the padding range as stored values; its VR may be US or SS whether pixels are signed or not."""
    value, limit = number(headers, "PixelPaddingValue"), number(headers, "PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = sorted(_wrap(int(end), bits, signed=signed) for end in (value, value if limit is None else limit))
    return ends[0], ends[1]


def _wrap(value: int, bits: int, *, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def unit_of(headers: Headers) -> str:
    """Return the unit (UCUM) of rescaled values; ``1`` where the header names none that is known.

    A CT without Rescale Type is in HU (PS3.3 C.8.2.1.1). So is an original CT image of unspecified units (``US``)
    whose Rescale Intercept is that of air: older scanners write it so.
    """
    modality = text(headers, "Modality")
    name = text(headers, "Units" if modality == "PT" else "RescaleType").upper()
    if modality == "CT" and (not name or (name == _UNSPECIFIED and _is_original_ct(headers))):
        name = "HU"
    return _UNITS.get(name, "1")


def _is_original_ct(headers: Headers) -> bool:
    intercept = number(headers, "RescaleIntercept")
    is_original = str(next(iter(headers.get("ImageType", ())), "")).upper() == "ORIGINAL"
    return is_original and intercept is not None and intercept <= _INTERCEPT_OF_AIR


def _single(headers: Headers, keyword: str, sop_uid: str) -> float | None:
    """Return the single value of an attribute; equal values count as one."""
    values: set[HeaderValue] = set(headers.get(keyword, ()))
    if not values:
        return None
    if len(values) > 1 or (value := number(headers, keyword)) is None:
        raise _unsupported(sop_uid, f"no single numeric {keyword}")
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
