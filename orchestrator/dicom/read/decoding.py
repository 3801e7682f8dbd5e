"""Frames that cannot be read in place (compressed, big-endian, deflated, in colour), decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, ExplicitVRBigEndian

from orchestrator.dicom.read.codecs import decoder_of
from orchestrator.dicom.read.header import read_header, read_whole
from orchestrator.dicom.read.pixel_values import NATIVE, Stored
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.quiet import quiet

Array = npt.NDArray[Any]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in what the eye takes for brightness (Rec. ITU-R BT.601, as in PS3.3 C.7.6.3.1.2)."""


def decoded(path: Path, stored: Stored, wanted: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Yield (index, pixels) of the wanted frames (from 0) in ascending order.

    Grey: (row, column) stored values in their native type; colour: (row, column, 3) RGB uint8.
    Raises UnsupportedInput (UNSUPPORTED_ENCODING, TRUNCATED) and what a decoder raises on broken frames.
    """
    for index, pixels in _arrays(path, stored, sorted(wanted)):
        yield index, _rgb(pixels, stored, path) if stored.colour else pixels.astype(stored.dtype, copy=False)


def luminance(rgb: Array) -> Array:
    """Return the brightness of RGB uint8 pixels, uint8."""
    return np.asarray(np.rint(rgb @ np.array(LUMA)), dtype=np.uint8)


def _arrays(path: Path, stored: Stored, wanted: Sequence[int]) -> Iterator[tuple[int, Array]]:
    syntax = UID(stored.location.transfer_syntax)
    if syntax not in NATIVE:
        with path.open("rb") as stream:
            yield from _compressed(stream, stored, wanted)
        return
    # These two need more than bytes at an offset: an inflated stream, the VR of swapped 8-bit pixels.
    if stored.location.offset is None or syntax == ExplicitVRBigEndian:
        dataset = read_whole(path)
        for index in wanted:
            yield index, get_decoder(syntax).as_array(dataset, index=index)[0]
        return
    with path.open("rb") as stream:
        stream.seek(stored.location.offset)
        for index in wanted:
            yield index, get_decoder(syntax).as_array(stream, index=index, **_options(stored, stored.frames))[0]


def _compressed(stream: BinaryIO, stored: Stored, wanted: Sequence[int]) -> Iterator[tuple[int, Array]]:
    decoder = decoder_of(stored.location.transfer_syntax)
    if decoder is None or stored.location.offset is None or stored.location.length is not None:
        name = UID(stored.location.transfer_syntax).name
        raise UnsupportedInput(InputFault.UNSUPPORTED_ENCODING, f"no decoder reads {name}")
    stream.seek(stored.location.offset)
    left = set(wanted)
    for index, frame in enumerate(generate_frames(stream, number_of_frames=stored.frames)):
        if index in left:
            left.remove(index)
            yield index, _decode(decoder, frame, stored)
        if not left:
            return
    raise UnsupportedInput(InputFault.TRUNCATED, f"{len(left)} of {stored.frames} frames are not in the file")


def _decode(decoder: Decoder, frame: bytes, stored: Stored) -> Array:
    with quiet():
        return decoder.as_array(encapsulate([frame], has_bot=False), index=0, **_options(stored, 1))[0]


def _options(stored: Stored, frames: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "rows": stored.rows,
        "columns": stored.columns,
        "number_of_frames": frames,
        "samples_per_pixel": stored.samples,
        "photometric_interpretation": stored.photometric,
        "bits_allocated": stored.bits_allocated,
        "pixel_keyword": stored.location.keyword,
    }
    if stored.location.keyword == "PixelData":
        options |= {"bits_stored": stored.bits_stored, "pixel_representation": int(stored.signed)}
    if stored.samples > 1:
        options["planar_configuration"] = stored.planar
    return options


def _rgb(pixels: Array, stored: Stored, path: Path) -> Array:
    """Return (row, column, 3) uint8, palettes looked up, deeper colours cut to their eight highest bits."""
    bits = stored.bits_stored
    if stored.photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, read_header(path))[..., :3]
        bits = 8 * pixels.dtype.itemsize
    return np.asarray(pixels >> (bits - 8), dtype=np.uint8) if bits > 8 else np.asarray(pixels, dtype=np.uint8)
