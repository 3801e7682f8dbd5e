"""Bounded HTTP requests; the rest is tested with archives and model servers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from orchestrator.network.http import Compressed, HttpClient, TooLarge, TooSlow, check_plain, read_body


class Pieces(httpx.SyncByteStream):
    """A body of so many pieces of a kilobyte."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        return iter([bytes(1024)] * self._count)


def test_no_certificate_stays_unchecked() -> None:
    with (
        HttpClient(tls=None, seconds=1, connect_seconds=1) as client,
        pytest.raises(ValueError, match="needs a TLS context"),
        client.exchange("GET", "https://127.0.0.1/", headers={}),
    ):
        pass


def test_a_body_up_to_its_limit_is_read() -> None:
    body = read_body(httpx.Response(200, stream=Pieces(4)), largest_bytes=4096, deadline=time.monotonic() + 60)
    assert body == bytes(4096)


def test_a_longer_body_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_body(httpx.Response(200, stream=Pieces(5)), largest_bytes=4096, deadline=time.monotonic() + 60)


def test_a_body_that_does_not_end_in_time_is_refused() -> None:
    with pytest.raises(TooSlow):
        read_body(httpx.Response(200, stream=Pieces(1)), largest_bytes=4096, deadline=time.monotonic() - 1)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_packed_answer_is_refused(encoding: str) -> None:
    check_plain(httpx.Response(200, headers={"Content-Encoding": "Identity"}))
    with pytest.raises(Compressed):
        check_plain(httpx.Response(200, headers={"Content-Encoding": encoding}))
