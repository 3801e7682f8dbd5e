"""A small file never becomes gigabytes in memory: what it would decode to is bounded before it is decoded."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from orchestrator.dicom import gather, plan, read_instance
from orchestrator.dicom.headers import deflated
from orchestrator.dicom.read import pixel_values
from orchestrator.dicom.read.pixels import read_image
from orchestrator.domain.errors import InputFault, UnreadableFile, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry
from tests.data.faults import change
from tests.data.series import ct_series

MIB = 1 << 20


def peak_of(act: Callable[[], Any]) -> int:
    """Return the most bytes that Python held while it did something."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def deflate(path: Path, pieces: list[bytes], syntax: str = DeflatedExplicitVRLittleEndian) -> Path:
    """Write a deflated file whose dataset is these bytes, one after another."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    meta.TransferSyntaxUID = syntax
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    target = path.with_name("deflated.dcm")
    with target.open("wb") as stream:
        stream.write(bytes(128) + b"DICM")
        write_file_meta_info(stream, meta)
        for piece in pieces:
            stream.write(compressor.compress(piece))
        stream.write(compressor.flush())
    return target


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return ct_series(tmp_path, slices=1, rows=64, columns=64)[0]


def header_of(image: Path) -> bytes:
    """Return the dataset of an image up to its pixels, as it is in the file."""
    content, dataset = image.read_bytes(), dcmread(image, stop_before_pixels=True)
    start = 144 + dataset.file_meta.FileMetaInformationGroupLength
    return content[start : content.index(b"\xe0\x7f\x10\x00OW")]


def test_the_pixels_of_a_deflated_file_are_read_in_pieces(image: Path) -> None:
    size = 64 * MIB
    frames = b"\x28\x00\x08\x00IS\x06\x00" + b"008192"
    header = header_of(image)
    at = header.index(b"\x28\x00\x10\x00US")
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
    path = deflate(image, [header[:at] + frames + header[at:], pixels, *[bytes(MIB)] * 64])
    assert path.stat().st_size < MIB
    assert peak_of(lambda: read_instance(path)) < 8 * MIB


def test_a_deflated_header_is_bounded(image: Path) -> None:
    """A private element of zeros: 1.6 MB on the wire could be gigabytes."""
    element = b"\x09\x00\x10\x00LO\x08\x00SOMEBODY" + b"\x09\x00\x01\x10UN\0\0" + (80 * MIB).to_bytes(4, "little")
    header = header_of(image)
    at = header.index(b"\x10\x00\x10\x00PN")
    path = deflate(image, [header[:at] + element, *[bytes(MIB)] * 80, header[at:]])
    with pytest.raises(UnreadableFile, match="inflates to more than 64 MiB"):
        read_instance(path)


def test_deflated_pixels_are_bounded(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated, "INFLATED_AT_MOST", 2 * MIB)
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + (8 * MIB).to_bytes(4, "little")
    path = deflate(image, [header_of(image), pixels, *[bytes(MIB)] * 8])
    with pytest.raises(UnreadableFile, match="inflates to more than 2 MiB"):
        read_instance(path)


def test_a_deflated_image_has_the_pixels_of_the_image(image: Path) -> None:
    path = deflate(image, [header_of(image), image.read_bytes()[-(64 * 64 * 2 + 12) :]])
    one, other = (plan(gather([read_instance(each)]), ONE_IMAGE)[0].frames[0] for each in (image, path))
    assert np.array_equal(read_image(one), read_image(other))
    assert read_instance(image).digest == read_instance(path).digest


ONE_IMAGE = Accepts(geometry=Geometry.IMAGE)


def refusal_of(path: Path) -> UnsupportedInput:
    with pytest.raises(UnsupportedInput) as refusal:
        read_image(plan(gather([read_instance(path)]), ONE_IMAGE)[0].frames[0])
    return refusal.value


def compress(image: Path, frame: bytes, **attributes: object) -> Path:
    """Let the image hold this RLE frame."""

    def edit(dataset: Dataset) -> None:
        dataset.update(attributes)
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = RLELossless

    change([image], edit)
    return image


def test_an_image_that_would_decode_to_too_much_is_refused_by_name(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_values, "DECODED_AT_MOST", 8000)
    refusal = refusal_of(compress(image, bytes(64)))
    assert refusal.fault is InputFault.TOO_LARGE
    assert "the limit is" in refusal.reason


def test_a_file_cannot_declare_more_frames_than_it_has_bytes_for(image: Path) -> None:
    assert refusal_of(compress(image, bytes(64), NumberOfFrames=2_000_000)).fault is InputFault.TRUNCATED


def test_an_rle_frame_of_repeated_bytes_takes_no_more_than_its_image(image: Path) -> None:
    runs = b"\x81\x00" * (2 * MIB)  # each pair of bytes is 128 zeros
    segments = (2).to_bytes(4, "little") + b"".join(each.to_bytes(4, "little") for each in (64, 64 + len(runs) // 2))
    frame = segments.ljust(64, b"\0") + runs
    peak = peak_of(lambda: refusal_of(compress(image, frame)))
    assert peak < 48 * MIB  # the file itself is 4 MiB; all runs would be 256 MiB
