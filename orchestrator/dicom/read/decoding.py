"""Decodes frames that cannot be read in place: compressed, big-endian, deflated or in colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from orchestrator.dicom.headers.header import open_deflated, read_header, read_whole
from orchestrator.dicom.read.codecs import check_frame_header, decoder_of
from orchestrator.dicom.read.pixel_values import NATIVE, PixelLayout
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.quiet import quiet

Array = npt.NDArray[Any]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (Rec. ITU-R BT.601, as in PS3.3 C.7.6.3.1.2)."""


def decode_frames(path: Path, layout: PixelLayout, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Yield (index, pixels) of the frames with these indices (from 0), in ascending order.

    Grey: (row, column) stored values in their native type; colour: (row, column, 3) RGB uint8.
    Raises UnsupportedInput (UNSUPPORTED_ENCODING, TRUNCATED), and exceptions of the decoder for broken frames.
    """
    for index, pixels in _raw_frames(path, layout, sorted(indices)):
        yield index, _rgb(pixels, layout, path) if layout.colour else pixels.astype(layout.dtype, copy=False)


def luminance(rgb: Array) -> Array:
    """Return the brightness of RGB uint8 pixels, uint8."""
    return np.asarray(np.rint(rgb @ np.array(LUMA)), dtype=np.uint8)


def _raw_frames(path: Path, layout: PixelLayout, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
    syntax = UID(layout.location.transfer_syntax)
    if syntax not in NATIVE:
        with path.open("rb") as stream:
            yield from _compressed_frames(stream, layout, indices)
        return
    if layout.location.offset is None:
        yield from _deflated_frames(path, layout, indices)
        return
    if syntax == ExplicitVRBigEndian:  # the VR of swapped 8-bit pixels is needed
        dataset = read_whole(path)
        for index in indices:
            yield index, get_decoder(syntax).as_array(dataset, index=index)[0]
        return
    with path.open("rb") as stream:
        stream.seek(layout.location.offset)
        for index in indices:
            yield index, get_decoder(syntax).as_array(stream, index=index, **_options(layout, layout.frames))[0]


def _deflated_frames(path: Path, layout: PixelLayout, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
    size = layout.frame_bytes
    with open_deflated(path) as pixels:
        for index in indices:
            frame = pixels.read(index * size, size) if pixels else b""
            if len(frame) < size:
                raise UnsupportedInput(InputFault.TRUNCATED, f"frame {index + 1} of {layout.frames} is incomplete")
            yield index, get_decoder(ExplicitVRLittleEndian).as_array(frame, index=0, **_options(layout, 1))[0]


def _compressed_frames(stream: BinaryIO, layout: PixelLayout, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
    decoder = decoder_of(layout.location.transfer_syntax)
    if decoder is None or layout.location.offset is None or layout.location.length is not None:
        name = UID(layout.location.transfer_syntax).name
        raise UnsupportedInput(InputFault.UNSUPPORTED_ENCODING, f"there is no decoder for {name}")
    stream.seek(layout.location.offset)
    remaining = set(indices)
    for index, frame in enumerate(generate_frames(stream, number_of_frames=layout.frames)):
        if index in remaining:
            remaining.remove(index)
            yield index, _decode(decoder, frame, layout)
        if not remaining:
            return
    raise UnsupportedInput(InputFault.TRUNCATED, f"{len(remaining)} of {layout.frames} frames are missing in the file")


def _decode(decoder: Decoder, frame: bytes, layout: PixelLayout) -> Array:
    check_frame_header(frame, layout.rows, layout.columns, layout.samples)  # every decoder allocates what it announces
    with quiet():
        return decoder.as_array(encapsulate([frame], has_bot=False), index=0, **_options(layout, 1))[0]


def _options(layout: PixelLayout, frames: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": frames,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "bits_allocated": layout.bits_allocated,
        "pixel_keyword": layout.location.keyword,
    }
    if layout.location.keyword == "PixelData":
        options |= {"bits_stored": layout.bits_stored, "pixel_representation": int(layout.signed)}
    if layout.samples > 1:
        options["planar_configuration"] = layout.planar
    return options


def _rgb(pixels: Array, layout: PixelLayout, path: Path) -> Array:
    """Return (row, column, 3) uint8; palettes are applied, deeper colours keep their eight highest bits."""
    bits = layout.bits_stored
    if layout.photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, read_header(path))[..., :3]
        bits = 8 * pixels.dtype.itemsize
    return np.asarray(pixels >> (bits - 8), dtype=np.uint8) if bits > 8 else np.asarray(pixels, dtype=np.uint8)
