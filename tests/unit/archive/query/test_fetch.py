"""Several files of a fetch at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from orchestrator.archive.query.fetch import SeriesFetch
from orchestrator.domain.ports import FoundSeries

SERIES = FoundSeries("1.2", "1.3")


class Remembering:
    """Implements domain.ports.Inbox, in memory."""

    def __init__(self) -> None:
        self.files: list[list[bytes]] = []

    def file(self, pieces: Iterable[bytes]) -> str:
        self.files.append(list(pieces))
        return ""

    def dataset(self, sop_class: str, sop_uid: str, transfer_syntax: str, pieces: Iterable[bytes]) -> str:
        raise NotImplementedError

    def settle(self) -> None:
        pass

    def expect_pushed(self) -> None:
        raise AssertionError("these images come into the inbox")


def test_one_that_takes_long_holds_up_none_of_those_after_it() -> None:
    others_done, waited = threading.Event(), list[bool]()

    def work(number: int) -> None:
        if number == 0:
            waited.append(others_done.wait(120))
        if number == 11:
            others_done.set()

    with SeriesFetch("vna", SERIES, Remembering()) as fetch:
        for number in range(12):
            fetch.run(work, number)
        fetch.finish()
    assert waited == [True]


def test_what_came_before_a_fetch_broke_off_is_kept() -> None:
    inbox = Remembering()

    def break_off() -> None:
        with SeriesFetch("vna", SERIES, inbox) as fetch:
            for number in range(3):
                fetch.add([b"%d" % number])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert sorted(inbox.files) == [[b"0"], [b"1"], [b"2"]]


def test_a_small_file_is_handed_on_in_one_piece_and_a_large_one_while_it_comes() -> None:
    inbox = Remembering()
    with SeriesFetch("vna", SERIES, inbox) as fetch:
        fetch.add([b"a", b"b"])
        fetch.finish()
        fetch.add(bytes(1 << 20) for _ in range(6))
    assert (inbox.files[0], len(inbox.files[1])) == ([b"ab"], 6)


@pytest.mark.parametrize("last", [False, True])
def test_what_the_work_raised_is_raised(last: bool) -> None:
    def work(number: int) -> None:
        if number == (11 if last else 0):
            raise OSError(number)

    def fetch() -> None:
        with SeriesFetch("vna", SERIES, Remembering()) as fetch:
            for number in range(12):
                fetch.run(work, number)
            fetch.finish()

    with pytest.raises(OSError, match="11" if last else "0"):
        fetch()
