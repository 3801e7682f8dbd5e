"""How long a delivery waits between its attempts."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from orchestrator.pipeline.delivery import LONGEST_WAIT_SECONDS, wait_seconds


def test_the_first_waits_double() -> None:
    assert [wait_seconds(attempts) for attempts in (1, 2, 3)] == [2.0, 4.0, 8.0]


@given(st.integers(1, 10_000))
def test_no_wait_is_longer_than_the_longest(attempts: int) -> None:
    assert 0 < wait_seconds(attempts) <= LONGEST_WAIT_SECONDS
