"""Compressed frames: imagecodecs as a decoding plugin of pydicom's own decoders.

pydicom keeps what it does well (encapsulation, signs, unused bits, colour spaces); imagecodecs does
the arithmetic without the interpreter's lock, and knows what pydicom's bundled plugins do not:
lossless and 12-bit JPEG. The decoders are our own instances: pydicom's global ones stay as they are.
"""

from __future__ import annotations

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
DECODER_DEPENDENCIES = {UID(syntax): ("imagecodecs",) for syntax in (*_DECODE, RLELossless)}
"""What pydicom asks a plugin for: the transfer syntaxes, and what must be installed for each."""


def is_available(uid: str) -> bool:
    """Return True for the transfer syntaxes that can be decoded; pydicom asks."""
    return uid in DECODER_DEPENDENCIES


@lru_cache
def decoder_of(transfer_syntax: str) -> Decoder | None:
    """Return the decoder of a compressed transfer syntax, None where there is none (video, JPEG XL ...)."""
    uid = UID(transfer_syntax)
    if not is_available(uid):
        return None
    decoder = Decoder(uid)
    if uid in _JPEG_LOSSY:  # knows Adobe's and JFIF's ways to say what the colours are
        decoder.add_plugin("pillow", ("pydicom.pixels.decoders.pillow", "_decode_frame"))
    decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))
    return decoder


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """Return the frame's pixels, interleaved, little-endian, and tell pydicom how wide they came out."""
    if runner.transfer_syntax == RLELossless:
        return _run_length(frame, runner)
    pixels = np.ascontiguousarray(_DECODE[runner.transfer_syntax](frame))
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    if runner.transfer_syntax in _JPEG_2000 and str(runner.photometric_interpretation) in {"YBR_ICT", "YBR_RCT"}:
        runner.set_option("photometric_interpretation", "RGB")  # OpenJPEG undoes the transform
    return pixels.tobytes()


def _run_length(frame: bytes, runner: DecodeRunner) -> bytes:
    """Return the planes of an RLE frame (PS3.5 annex G) one after another."""
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 1)
    return bytes(imagecodecs.dicomrle_decode(frame, runner.pixel_dtype))
