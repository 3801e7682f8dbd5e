"""Work beside a loop: begun once, done once, and what it raises is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from orchestrator.app.service.engine.background import Aside


class Work:
    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.ended = threading.Event()
        self.done: list[str] = []
        self.fault: Exception | None = None

    def __call__(self, what: str) -> None:
        self.may_end.wait(120.0)
        try:
            if self.fault:
                raise self.fault
            self.done.append(what)
        finally:
            self.ended.set()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def aside(work: Work) -> Iterator[Aside[[str]]]:
    with closing(Aside(work, "test")) as made:
        yield made
        work.may_end.set()


def ended(aside: Aside[[str]], work: Work) -> None:
    """Wait until a call that was begun has ended, and the thread has said so."""
    work.may_end.set()
    assert work.ended.wait(120.0)
    aside._begun["key"].exception(120.0)


def test_a_call_is_begun_once_and_done_once(aside: Aside[[str]], work: Work) -> None:
    assert [aside.done("key", "this"), aside.done("key", "this")] == [False, False]
    ended(aside, work)
    assert aside.done("key", "this")
    assert work.done == ["this"]


def test_what_a_call_raises_is_told_and_it_is_called_again(aside: Aside[[str]], work: Work) -> None:
    work.fault = ValueError("away")
    assert not aside.done("key", "this")
    ended(aside, work)
    with pytest.raises(ValueError, match="away"):
        aside.done("key", "this")
    work.fault = None
    assert not aside.done("key", "this")
