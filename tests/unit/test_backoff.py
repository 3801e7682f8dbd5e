"""How long is waited before something that failed is tried again."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from orchestrator.backoff import Backoff


def test_waits_double_up_to_the_longest() -> None:
    waits = [Backoff(2.0, 15.0).seconds(failures) for failures in (1, 2, 3, 4, 5)]
    assert waits == [2.0, 4.0, 8.0, 15.0, 15.0]


def test_without_a_failure_it_is_the_first_wait() -> None:
    assert Backoff(2.0, 15.0).seconds(0) == Backoff(2.0, 15.0).seconds(-3) == 2.0


@given(st.integers(1, 10**400))
def test_no_wait_is_longer_than_the_longest(failures: int) -> None:
    assert 0 < Backoff(2.0, 600.0).seconds(failures) <= 600.0
