"""DICOMweb archives that answer badly, each in its own way: a clear fault, and nothing lost."""

from __future__ import annotations

import gzip
import itertools
import threading
import time

import pytest

from orchestrator.archive import connect
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from tests.integration.archive.dicomweb.answers import always, archive_that
from tests.parts.archive.web_server import Answer, Request

# --- faults that any answer may have ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (Answer(500), ArchiveUnavailable, "answers with 500"),
        (Answer(502), ArchiveUnavailable, "answers with 502"),
        (Answer(503, headers={"Retry-After": "120"}), ArchiveUnavailable, "answers with 503 .retry after 120 s.$"),
        (Answer(429, headers={"Retry-After": "Doe^Jane"}), ArchiveUnavailable, "answers with 429$"),
        (Answer(501), ArchiveRefused, "does not offer this service"),
        (Answer(400), ArchiveRefused, "does not understand"),
        (Answer(401), ArchiveRefused, "check username and password_file"),
        (Answer(403), ArchiveRefused, "allow the user in the settings"),
        (Answer(404), ArchiveRefused, "check the path in the url"),
        (Answer(406), ArchiveRefused, "in the requested format"),
        (Answer(418), ArchiveRefused, "answers with 418$"),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), ArchiveRefused, "redirect .* are not followed"),
        (Answer(body=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"}), ArchiveRefused, "compresses answers"),
        (Answer(body=b"<html>"), ArchiveRefused, "does not answer with JSON"),
        (Answer(body=b'{"a": 1}'), ArchiveRefused, "does not answer a query with a list"),
        (Answer(body=b"[1]"), ArchiveRefused, "does not answer a query with a list"),
        (Answer(body=b"[" * 100_000), ArchiveRefused, "does not answer with JSON"),
        (Answer(body='[{"00100010": "Müller"}]'.encode("latin-1")), ArchiveRefused, "character set other than UTF-8"),
        (Answer(body=b"[{", length=4711), ArchiveUnavailable, "closed the connection within"),
        (Answer(body=itertools.repeat(b" " * (1 << 20))), ArchiveRefused, "more than 64 MiB"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_a_bad_answer_is_a_fault_by_its_name(answer: Answer, fault: type[Exception], words: str) -> None:
    with archive_that(lambda _: answer) as archive, pytest.raises(fault, match=f"'vna'.*{words}"):
        archive.identity("1.2")


def test_an_archive_that_says_nothing_is_unavailable() -> None:
    released = threading.Event()

    def silent(_: Request) -> Answer:
        released.wait(30)
        return Answer()

    with archive_that(silent, timeout_seconds=0.2) as archive:
        with pytest.raises(ArchiveUnavailable, match=r"does not answer in 0\.2 s"):
            archive.echo()
        released.set()


def test_an_answer_that_comes_in_drops_is_given_up() -> None:
    drops = (b" " for _ in iter(lambda: time.sleep(0.05), 0))
    fault = pytest.raises(ArchiveUnavailable, match=r"did not end its answer in 0\.3 s")
    with archive_that(always(body=itertools.islice(drops, 100)), timeout_seconds=0.3) as archive, fault:
        archive.echo()


# --- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["dicomweb+http:///rs", "dicomweb+https://user@host/rs", "orthanc+http://host:x", "orthanc+http://host/?a=b"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"port|not the address of an archive"):
        connect(url, name="vna")
