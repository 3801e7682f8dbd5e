"""multipart/related bodies (RFC 2387, RFC 2046 5.1): read part by part from a stream, and written from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from uuid import uuid4

_LARGEST_HEADERS_BYTES = 16 << 10
_PIECE_BYTES = 256 << 10


class BrokenMultipart(ValueError):
    """The body is not multipart, or ends within a part."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part. headers: names in lower case. pieces: the content, read from the stream on demand."""

    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class MultipartReader:
    """The parts of a body that arrives in pieces of any size; at most one piece is in memory.

    Asking for the next part skips the rest of the current one. Iterating raises BrokenMultipart, and whatever the
    iterator of pieces raises.
    """

    def __init__(self, pieces: Iterable[bytes], boundary: str) -> None:
        self._pieces = iter(pieces)
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._buffer = bytearray(b"\r\n")  # a body may start with its delimiter, without a line before it

    def __iter__(self) -> Iterator[Part]:
        """Yield each part once, in order."""
        _exhaust(self._read_to_delimiter())  # RFC 2046 allows a preamble
        while self._has_next_part():
            content = self._read_to_delimiter()
            yield Part(self._headers(), content)
            _exhaust(content)

    def _read_to_delimiter(self) -> Iterator[bytes]:
        """Yield the content before the next delimiter, and skip the delimiter."""
        overlap = len(self._delimiter) - 1  # the last bytes of the buffer may be the start of the delimiter
        while (end := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > overlap:
                yield self._remove(len(self._buffer) - overlap)
            self._read_piece()
        if end:
            yield self._remove(end)
        del self._buffer[: len(self._delimiter)]

    def _has_next_part(self) -> bool:
        """Return False where the delimiter was the last one."""
        while len(self._buffer) < 2:
            self._read_piece()
        if self._buffer.startswith(b"--"):
            return False
        if self._line(_LARGEST_HEADERS_BYTES).strip(b" \t"):
            raise BrokenMultipart("a line starts like a delimiter and has more characters")
        return True

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        limit = _LARGEST_HEADERS_BYTES
        while line := self._line(limit):
            limit -= len(line)
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _line(self, longest: int) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > longest:
                raise BrokenMultipart("the headers of a part are too long")
            self._read_piece()
        line = self._remove(end)
        del self._buffer[:2]
        return line

    def _read_piece(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise BrokenMultipart("the body ends before its last part does")
        self._buffer += piece

    def _remove(self, count: int) -> bytes:
        """Remove the first bytes from the buffer and return them."""
        content = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return content


def boundary_in(content_type: str) -> str:
    """Return the boundary in the Content-Type of a multipart/related body, empty for another content type."""
    header = Message()
    header["Content-Type"] = content_type
    return str(header.get_boundary("")) if header.get_content_type() == "multipart/related" else ""


@dataclass(frozen=True, slots=True)
class MultipartBody:
    """DICOM files as one body; each iteration reads the files again."""

    paths: Sequence[Path]
    boundary: str

    @classmethod
    def of(cls, paths: Sequence[Path]) -> MultipartBody:
        """Return the body of these files, with a random boundary."""
        return cls(tuple(paths), uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request, with the length of the body, which proxies need.

        Raises OSError where a file is missing.
        """
        parts = sum(len(self._opening()) + path.stat().st_size for path in self.paths)
        return {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={self.boundary}',
            "Content-Length": str(parts + len(self._end())),
        }

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body in pieces."""
        for path in self.paths:
            yield self._opening()
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        yield self._end()

    def _opening(self) -> bytes:
        return f"\r\n--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()

    def _end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


def _exhaust(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass
