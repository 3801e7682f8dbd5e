"""Puts pixel values into datasets, in transfer syntaxes that need no codec."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

_UNCOMPRESSED = {
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
}


def put_pixels(dataset: Dataset, stored: npt.NDArray[Any], *, bits: tuple[int, int], signed: bool) -> None:
    """Set the pixel module for grey values (row, column) or (frame, row, column), little-endian."""
    bits_allocated, bits_stored = bits
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits_allocated, bits_stored, bits_stored - 1
    dataset.PixelRepresentation = int(signed)
    limits = np.iinfo(f"{'i' if signed else 'u'}{bits_allocated // 8}")
    if stored.min() < limits.min or stored.max() > limits.max:
        raise ValueError(f"stored values {stored.min()}..{stored.max()} exceed {bits_allocated} bits, signed={signed}")
    dataset.PixelData = stored.astype(f"<{'i' if signed else 'u'}{bits_allocated // 8}").tobytes()
    dataset["PixelData"].VR = "OW" if bits_allocated == 16 else "OB"


def encode(dataset: Dataset, transfer_syntax: str) -> Dataset:
    """Return the dataset with its little-endian pixels in another transfer syntax (RLE or uncompressed)."""
    syntax = UID(transfer_syntax)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax in _UNCOMPRESSED:
        if syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    else:
        raise ValueError(f"the test kit cannot write {syntax.name}; use RLE Lossless or an uncompressed one")
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset
