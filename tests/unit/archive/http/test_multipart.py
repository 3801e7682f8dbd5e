"""A multipart body is read the same however it is cut, and half of one is never taken for a whole."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.archive.http.multipart import BrokenMultipart, MultipartBody, MultipartReader, boundary_in

BOUNDARY = "b-1"
TRAPS = st.sampled_from([b"\r\n", b"--b-1", b"--b-", b"\r\n--b", b"\r", b"\n--", b"--", b"\r\n\r\n"])
CONTENTS = (
    st.lists(st.one_of(TRAPS, st.binary(max_size=20)), max_size=8)
    .map(b"".join)
    .filter(lambda content: b"\r\n--b-1" not in b"\r\n" + content)
)
BODIES = st.lists(CONTENTS, min_size=1, max_size=4)


def body(contents: list[bytes], *, preamble: bytes = b"", padding: bytes = b"") -> bytes:
    parts = [b"--b-1%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (padding, content) for content in contents]
    return b"".join([preamble, *parts, b"--b-1--\r\nepilogue"])


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(ends)]


def read(pieces: list[bytes]) -> list[bytes]:
    return [b"".join(part.pieces) for part in MultipartReader(pieces, BOUNDARY)]


@given(contents=BODIES, places=st.lists(st.integers(0, 10_000), max_size=12))
def test_the_parts_are_the_same_wherever_the_body_is_cut(contents: list[bytes], places: list[int]) -> None:
    assert read(cut(body(contents), places)) == contents


@given(contents=BODIES)
def test_the_parts_are_the_same_byte_by_byte(contents: list[bytes]) -> None:
    assert read([bytes([byte]) for byte in body(contents)]) == contents


@given(contents=BODIES, at=st.integers(0, 10_000), places=st.lists(st.integers(0, 10_000), max_size=4))
def test_half_a_body_is_broken(contents: list[bytes], at: int, places: list[int]) -> None:
    whole = body(contents).removesuffix(b"--\r\nepilogue")
    with pytest.raises(BrokenMultipart, match="ends before"):
        read(cut(whole[: at % (len(whole) + 1)], places))


@given(contents=st.lists(CONTENTS, min_size=2, max_size=4), places=st.lists(st.integers(0, 10_000), max_size=12))
def test_what_is_left_of_a_part_is_passed_over(contents: list[bytes], places: list[int]) -> None:
    seen = 0
    for number, part in enumerate(MultipartReader(cut(body(contents), places), BOUNDARY)):
        seen += 1
        if number % 2:
            assert b"".join(part.pieces) == contents[number]
        else:
            next(part.pieces, None)
    assert seen == len(contents)


@pytest.mark.parametrize(
    "given",
    [{"preamble": b"nothing to see here\r\n"}, {"preamble": b"\r\n"}, {"padding": b" \t"}],
    ids=["a preamble", "an empty line before", "blanks behind the delimiter"],
)
def test_what_the_standard_allows_around_the_parts_is_passed_over(given: dict[str, bytes]) -> None:
    assert read([body([b"one", b"two"], **given)]) == [b"one", b"two"]


def test_the_headers_of_a_part_are_known_by_small_names() -> None:
    (part,) = MultipartReader([body([b"x"])], BOUNDARY)
    assert part.headers == {"content-type": "application/dicom"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "ends before"),
        (b"<html>no multipart at all</html>", "ends before"),
        (b"--b-1\r\n" + b"x" * 40_000, "too long"),
        (b"--b-1\r\n" + b"A: b\r\n" * 9_000, "too long"),
        (b"--b-1234\r\n\r\nx\r\n--b-1--", "more characters"),
    ],
    ids=["nothing", "a page", "a line without an end", "headers without an end", "another delimiter"],
)
def test_what_is_no_multipart_is_broken(content: bytes, fault: str) -> None:
    with pytest.raises(BrokenMultipart, match=fault):
        read([content])


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary="a b=c"', "a b=c"),
        ("Multipart/Related;boundary=abc", "abc"),
        ("multipart/related", ""),
        ("application/dicom", ""),
        ("text/html; boundary=abc", ""),
        ("", ""),
    ],
)
def test_the_boundary_is_that_of_the_content_type(content_type: str, boundary: str) -> None:
    assert boundary_in(content_type) == boundary


def test_what_goes_out_is_as_long_as_it_says_and_comes_in_again(tmp_path: Path) -> None:
    contents = [b"\r\n--" * 7, b"", bytes(600_000)]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    outgoing = MultipartBody.of(paths)
    pieces = list(outgoing)
    assert sum(map(len, pieces)) == int(outgoing.headers["Content-Length"])
    boundary = boundary_in(outgoing.headers["Content-Type"])
    assert [b"".join(part.pieces) for part in MultipartReader(pieces, boundary)] == contents
