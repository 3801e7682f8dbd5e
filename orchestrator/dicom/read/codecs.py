"""Decoders of compressed frames: imagecodecs as a plugin of pydicom's decoders.

pydicom handles encapsulation, signs, unused bits and colour spaces. imagecodecs decodes without holding the
interpreter lock, and supports lossless and 12-bit JPEG, which pydicom's own plugins do not.
The decoders are instances of this module; pydicom's global decoders stay unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import Decoder, DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

_JPEG_2000 = frozenset({JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL})
_JPEG_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit})
_DECODE: dict[str, Callable[[bytes], Any]] = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit), imagecodecs.jpeg_decode),
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1), imagecodecs.ljpeg_decode),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), imagecodecs.jpegls_decode),
    **dict.fromkeys(_JPEG_2000, imagecodecs.jpeg2k_decode),
}
_COMPONENTS = 4  # some grey images are encoded in colour, with transparency
_SIZ = b"\xff\x4f\xff\x51"  # start of a JPEG 2000 codestream and its size segment (ISO/IEC 15444-1 A.5.1)
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})  # ISO/IEC 10918-1 B.1.1.3, 14495-1
DECODER_DEPENDENCIES = {UID(syntax): ("imagecodecs",) for syntax in (*_DECODE, RLELossless)}
"""Required by pydicom's plugin interface: transfer syntax -> packages that must be installed."""


def is_available(uid: str) -> bool:
    """Return True for the transfer syntaxes that can be decoded (pydicom's plugin interface)."""
    return uid in DECODER_DEPENDENCIES


@lru_cache
def decoder_of(transfer_syntax: str) -> Decoder | None:
    """Return the decoder of a compressed transfer syntax, None where there is none (video, JPEG XL ...)."""
    uid = UID(transfer_syntax)
    if not is_available(uid):
        return None
    decoder = Decoder(uid)
    if uid in _JPEG_LOSSY:  # handles the colour markers of Adobe and JFIF
        decoder.add_plugin("pillow", ("pydicom.pixels.decoders.pillow", "_decode_frame"))
    decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))
    return decoder


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """Return the frame's pixels, interleaved, little-endian; report their size to pydicom through ``runner``."""
    if runner.transfer_syntax == RLELossless:
        return _decode_rle(frame, runner)
    pixels = np.ascontiguousarray(_DECODE[runner.transfer_syntax](frame))
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    if runner.transfer_syntax in _JPEG_2000 and str(runner.photometric_interpretation) in {"YBR_ICT", "YBR_RCT"}:
        runner.set_option("photometric_interpretation", "RGB")  # OpenJPEG reverts the colour transform
    return pixels.tobytes()


def check_frame_header(frame: bytes, rows: int, columns: int, samples: int) -> None:
    """Raise ValueError where the header of a compressed frame announces more memory than the image declares."""
    found = size_in_header(frame)
    if found is None:
        return
    if found[:2] != (rows, columns):
        raise ValueError(f"the frame header gives (rows, columns) {found[:2]}, expected {(rows, columns)}")
    if found[2] > max(samples, _COMPONENTS):
        raise ValueError(f"the frame header gives {found[2]} components, expected {samples}")


def size_in_header(frame: bytes) -> tuple[int, int, int] | None:
    """Return (rows, columns, components) from a JPEG, JPEG-LS or JPEG 2000 header, None where no header is found."""
    start = frame.find(_SIZ, 0, 4096)  # a JP2 box may come first
    if start >= 0:
        right, lower, left, upper = struct.unpack_from(">4L", frame, start + 8)
        (components,) = struct.unpack_from(">H", frame, start + 40)
        return lower - upper, right - left, components
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _START_OF_FRAME:
            return struct.unpack_from(">2HB", frame, at + 5)
        at += 1 if frame[at + 1] == 0xFF else 2 + struct.unpack_from(">H", frame, at + 2)[0]  # skip fill bytes 0xFF
    return None


def _decode_rle(frame: bytes, runner: DecodeRunner) -> bytes:
    """Return the planes of an RLE frame (PS3.5 annex G) one after another."""
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 1)
    size = runner.rows * runner.columns * runner.samples_per_pixel * runner.pixel_dtype.itemsize
    # some encoders pad their segments; without a limit a frame of repeated bytes takes 64 times its own size
    return bytes(imagecodecs.dicomrle_decode(frame, runner.pixel_dtype, out=2 * size))
