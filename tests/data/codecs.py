"""Re-encodes test images through imagecodecs, one fragment or several a frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

ENCODERS: dict[str, Callable[[np.ndarray], bytes]] = {
    JPEGBaseline8Bit: lambda frame: imagecodecs.jpeg8_encode(frame, level=95),
    JPEGLossless: lambda frame: imagecodecs.jpeg_encode(frame, lossless=True, predictor=4),
    JPEGLosslessSV1: lambda frame: imagecodecs.jpeg_encode(frame, lossless=True, predictor=1),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLSNearLossless: lambda frame: imagecodecs.jpegls_encode(frame, level=2),
    JPEG2000Lossless: lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True),
    JPEG2000: lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", level=50),
}


def compress(dataset: Dataset, transfer_syntax: str, fragments: int = 1) -> Dataset:
    """Return the dataset, whose pixels are little-endian and uncompressed, with them encapsulated."""
    frames = _frames(dataset)
    encoded = [ENCODERS[transfer_syntax](frame) for frame in frames]
    dataset.PixelData = encapsulate(encoded, fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return dataset


def recompress(path: Path, transfer_syntax: str, fragments: int = 1) -> Path:
    """Rewrite an uncompressed file in a compressed transfer syntax and return its path."""
    compress(dcmread(path), transfer_syntax, fragments).save_as(path, enforce_file_format=True)
    return path


def _frames(dataset: Dataset) -> np.ndarray[Any, Any]:
    # JPEG knows no sign: the codecs get the bit pattern; JPEG 2000 can carry the sign itself, few writers do
    kind = f"<u{dataset.BitsAllocated // 8}"
    shape = (-1, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    frames = np.frombuffer(dataset.PixelData, kind)
    count = int(getattr(dataset, "NumberOfFrames", 1) or 1)
    frames = frames[: count * dataset.Rows * dataset.Columns * dataset.SamplesPerPixel].reshape(shape)
    return frames[..., 0] if dataset.SamplesPerPixel == 1 else frames
