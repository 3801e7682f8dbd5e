"""multipart/related bodies (RFC 2387, RFC 2046 5.1): read part by part as they come, written from files on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from uuid import uuid4

_LARGEST_HEADERS_BYTES = 16 << 10
_PIECE_BYTES = 256 << 10


class BrokenMultipart(ValueError):
    """The body is no multipart, or ends before its last part does."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part; the names of its headers are in small letters, its pieces come while they are asked for."""

    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class MultipartReader:
    """The parts of a body that comes in pieces of any size; no more than one piece of it is held in memory.

    What is left of a part when the next one is asked for is passed over. Iterating raises BrokenMultipart,
    and what the pieces raise.
    """

    def __init__(self, pieces: Iterable[bytes], boundary: str) -> None:
        self._coming = iter(pieces)
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._held = bytearray(b"\r\n")  # a body may begin with its delimiter, without a line before it

    def __iter__(self) -> Iterator[Part]:
        """Yield each part once, in order."""
        _exhaust(self._to_delimiter())  # RFC 2046 allows a preamble
        while self._is_followed_by_part():
            content = self._to_delimiter()
            yield Part(self._headers(), content)
            _exhaust(content)

    def _to_delimiter(self) -> Iterator[bytes]:
        """Yield what comes before the next delimiter and pass over that."""
        kept = len(self._delimiter) - 1  # of them the delimiter may have begun
        while (end := self._held.find(self._delimiter)) < 0:
            if len(self._held) > kept:
                yield self._taken(len(self._held) - kept)
            self._take_in()
        if end:
            yield self._taken(end)
        del self._held[: len(self._delimiter)]

    def _is_followed_by_part(self) -> bool:
        """Return False where the delimiter was the last one."""
        while len(self._held) < 2:
            self._take_in()
        if self._held.startswith(b"--"):
            return False
        if self._line(_LARGEST_HEADERS_BYTES).strip(b" \t"):
            raise BrokenMultipart("a line begins like a delimiter and is none")
        return True

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        left = _LARGEST_HEADERS_BYTES
        while line := self._line(left):
            left -= len(line)
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _line(self, longest: int) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            if len(self._held) > longest:
                raise BrokenMultipart("the headers of a part have no end")
            self._take_in()
        line = self._taken(end)
        del self._held[:2]
        return line

    def _take_in(self) -> None:
        piece = next(self._coming, None)
        if piece is None:
            raise BrokenMultipart("it ends before its last part does")
        self._held += piece

    def _taken(self, count: int) -> bytes:
        taken = bytes(memoryview(self._held)[:count])
        del self._held[:count]
        return taken


def boundary_in(content_type: str) -> str:
    """Return the boundary that the header Content-Type of a multipart/related body names, empty where it is none."""
    header = Message()
    header["Content-Type"] = content_type
    return str(header.get_boundary("")) if header.get_content_type() == "multipart/related" else ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """DICOM files as one body; each iteration reads them anew."""

    paths: Sequence[Path]
    boundary: str

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Outgoing:
        """Return the body of these files, with a boundary that is nowhere else."""
        return cls(tuple(paths), uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request; proxies bound and buffer a body by its length.

        Raises OSError where a file is gone.
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
