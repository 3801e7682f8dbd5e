"""Reads deflated files (PS3.5 A.5) in pieces; a few bytes on the wire never become gigabytes in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from pydicom import FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from orchestrator.domain.errors import UnreadableFile

INFLATED_AT_MOST = 1 << 30
"""Largest dataset of a deflated file, bytes; the encoding is meant for reports and segmentations."""
HEADER_AT_MOST = 64 << 20
"""Largest header of a deflated file, bytes: only a header is held in memory."""
_CHUNK = 1 << 18
_BEHIND = 1 << 20  # pydicom looks back over a few kilobytes at most

StopWhen = Callable[[BaseTag, str | None, int], bool]


class InflatedStream:
    """The inflated dataset of a deflated file, read forward; it holds about a megabyte.

    limit: how many inflated bytes may be read; changed when a caller reads pixels behind a header.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._window = bytearray()
        self._start = 0  # position of the window in the dataset
        self._at = 0
        self.limit = limit

    def tell(self) -> int:
        """Return the position in the inflated dataset."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move forward, or back within the last megabyte.

        Raises UnreadableFile for another position.
        """
        position = offset + (self._at if whence == 1 else 0)
        if whence == 2 or position < self._start:
            raise UnreadableFile("is deflated, and an element in it has an impossible length")
        while position > self._start + len(self._window) and self._inflate():
            pass
        self._at = min(position, self._start + len(self._window))
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, fewer at the end.

        Raises UnreadableFile where the limit is passed, zlib.error.
        """
        pieces = []
        while size != 0:
            if self._at == self._start + len(self._window) and not self._inflate():
                break
            begin = self._at - self._start
            piece = bytes(self._window[begin:] if size < 0 else self._window[begin : begin + size])
            self._at += len(piece)
            size -= len(piece) if size > 0 else 0
            pieces.append(piece)
        return b"".join(pieces)

    def _inflate(self) -> bool:
        """Append inflated bytes to the window; return False at the end."""
        piece = b""
        while not piece and not self._inflater.eof:
            data = self._inflater.unconsumed_tail or self._stream.read(_CHUNK)
            if not data:
                raise UnreadableFile("ends inside its deflated dataset")
            piece = self._inflater.decompress(data, _CHUNK)
        self._window += piece
        surplus = max(0, len(self._window) - _BEHIND - _CHUNK)
        del self._window[:surplus]
        self._start += surplus
        if self._start + len(self._window) > self.limit:
            raise UnreadableFile(f"inflates to more than {self.limit >> 20} MiB")
        return bool(piece)


@dataclass(frozen=True, slots=True)
class DeflatedFile:
    """The start of a deflated file. dataset: its inflated dataset, at its beginning."""

    preamble: bytes | None
    meta: FileMetaDataset
    dataset: InflatedStream

    @classmethod
    def of(cls, stream: BinaryIO) -> DeflatedFile | None:
        """Return the file where its Transfer Syntax is the deflated one; None for others, which are at their start.

        Raises whatever pydicom raises for broken bytes.
        """
        preamble = read_preamble(stream, force=True)
        meta = _read_file_meta_info(stream)  # as pydicom finds it: a file must not be inflated beside this module
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            stream.seek(0)
            return None
        return cls(preamble, meta, InflatedStream(stream, HEADER_AT_MOST))

    def header(self, stop_when: StopWhen) -> FileDataset:
        """Return the dataset up to the element at which ``stop_when`` returns True."""
        stream = cast(BinaryIO, self.dataset)  # pydicom reads, seeks and tells
        dataset = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=stop_when)
        whole = FileDataset("", dataset, self.preamble, self.meta, False, True)
        whole.set_original_encoding(False, True, dataset._character_set)
        return whole

    def pixels(self, offset: int, length: int) -> DeflatedPixels:
        """Return the pixels at this place of the inflated dataset, in bytes."""
        return DeflatedPixels(self.dataset, offset, length)


@dataclass(frozen=True, slots=True)
class DeflatedPixels:
    """The pixels of a deflated file: ``length`` bytes from ``offset`` of the inflated dataset; read once, forward."""

    dataset: InflatedStream
    offset: int
    length: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in order.

        Raises UnreadableFile, zlib.error.
        """
        remaining = self.length
        self._seek(0)
        while remaining > 0 and (chunk := self.dataset.read(min(remaining, _CHUNK))):
            remaining -= len(chunk)
            yield chunk

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the pixels, fewer where they end early; each call reads behind the one before.

        Raises UnreadableFile, zlib.error.
        """
        self._seek(offset)
        return self.dataset.read(max(0, min(size, self.length - offset)))

    def _seek(self, offset: int) -> None:
        """Go to this byte of the pixels."""
        self.dataset.limit = INFLATED_AT_MOST
        self.dataset.seek(self.offset + offset)
