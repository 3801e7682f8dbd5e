"""Models start on a hint, results leave on a proof."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.archive import Announced, Arrival, Closed
from orchestrator.domain.series import Instance
from orchestrator.pipeline.arrival.completion import Checks, Due, Step, due_steps
from orchestrator.pipeline.arrival.pending_series import PendingSeries

QUIET = 30.0
SERIES = "1.2.3"


def instance(number: int, *, digest: str = "") -> Instance:
    return Instance("1.2", SERIES, f"{SERIES}.{number}", "1.2.840.10008.5.1.4.1.1.2", Path(), digest or f"d{number}")


class Scenario:
    """One pending series, whose headers say what a test chooses."""

    def __init__(self, *, gap_free: bool = True, expected: int | None = None) -> None:
        self.series = PendingSeries(SERIES, Arrival(path=Path()))
        self.checks = Checks(gap_free=lambda _: gap_free, expected_count=lambda _: expected)

    def arrive(self, *numbers: int, now: float = 0.0, association: str = "a", sender: str = "CT1") -> bool:
        """Return whether one of these instances changed a series whose models had started."""
        arrival = Arrival(path=Path(), association=association, calling=sender)
        reopened = [self.series.add(instance(n), arrival, now=now, quiet_seconds=QUIET) for n in numbers]
        return any(reopened)

    def close(self, association: str, *, released: bool, others_open: int) -> None:
        self.series.close(
            Closed(association=association, released=released, calling="CT1", called="", others_open=others_open)
        )

    def announce(self, count: int) -> None:
        reason = "vna says that the series is complete"
        self.series.announce(Announced(series_uid=SERIES, count=count, reason=reason))

    def due(self, now: float) -> list[Due]:
        return due_steps(self.series, now, self.checks)

    def steps(self, now: float) -> list[Step]:
        """Take the steps that are due."""
        steps = [due.step for due in self.due(now)]
        self.series.started |= bool(steps)
        return steps


def test_a_released_association_with_gap_free_images_starts_the_models_but_releases_nothing() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2, 3)
    scenario.close("a", released=True, others_open=0)
    assert scenario.steps(0.1) == [Step.START]
    assert scenario.steps(QUIET - 1) == []
    assert scenario.steps(QUIET) == [Step.RELEASE]


def test_the_announced_number_of_images_starts_and_releases_at_once() -> None:
    scenario = Scenario(expected=3)
    scenario.arrive(1, 2)
    assert scenario.steps(0.0) == []
    scenario.arrive(3)
    assert scenario.steps(0.0) == [Step.START, Step.RELEASE]


def test_a_count_that_somebody_tells_starts_and_releases_at_once() -> None:
    scenario = Scenario(gap_free=False)
    scenario.arrive(1, 2)
    scenario.announce(3)
    assert scenario.steps(0.0) == []
    scenario.arrive(3)
    (start, release) = scenario.due(0.0)
    assert (start.step, release.step) == (Step.START, Step.RELEASE)
    assert release.reason == "vna says that the series is complete: all 3 images arrived"


def test_a_count_that_is_too_small_proves_nothing() -> None:
    scenario = Scenario(gap_free=False)
    scenario.arrive(1, 2, 3)
    scenario.announce(2)
    assert scenario.steps(0.0) == []
    assert scenario.steps(QUIET) == [Step.START, Step.RELEASE]


def test_without_any_signal_the_quiet_period_starts_and_releases() -> None:
    scenario = Scenario(gap_free=False)
    scenario.arrive(1)
    assert scenario.steps(QUIET - 0.1) == []
    assert scenario.steps(QUIET) == [Step.START, Step.RELEASE]


@pytest.mark.parametrize(
    ("released", "others_open"), [(False, 0), (True, 1)], ids=["aborted", "another association is open"]
)
def test_an_aborted_or_a_parallel_association_is_no_hint(released: bool, others_open: int) -> None:
    scenario = Scenario()
    scenario.arrive(1, 2)
    scenario.close("a", released=released, others_open=others_open)
    assert scenario.steps(1.0) == []


def test_images_by_two_associations_are_no_hint() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2, association="a")
    scenario.arrive(3, association="b")
    scenario.close("a", released=True, others_open=1)
    scenario.close("b", released=True, others_open=0)
    assert scenario.steps(1.0) == []


def test_the_last_of_parallel_associations_to_close_gives_the_hint() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2)
    scenario.close("a", released=True, others_open=1)
    scenario.close("other", released=True, others_open=0)
    assert scenario.steps(1.0) == [Step.START]


def test_an_aborted_series_gets_no_hint_when_a_later_association_of_the_sender_closes() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2)
    scenario.close("a", released=False, others_open=0)
    scenario.close("later", released=True, others_open=0)
    assert scenario.steps(1.0) == []


def test_a_late_image_after_the_start_reopens_the_series() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2)
    scenario.close("a", released=True, others_open=0)
    scenario.steps(0.1)
    assert scenario.arrive(3, now=5.0, association="b")
    assert scenario.steps(QUIET) == []
    assert scenario.steps(5.0 + QUIET) == [Step.START, Step.RELEASE]


def test_a_plain_resend_reopens_nothing() -> None:
    scenario = Scenario()
    scenario.arrive(1, 2)
    scenario.close("a", released=True, others_open=0)
    scenario.steps(0.1)
    assert not scenario.arrive(1, now=1.0, association="b")


def test_a_corrected_resend_reopens() -> None:
    scenario = Scenario(expected=1)
    scenario.series.resume([instance(1)])
    corrected = instance(1, digest="corrected")
    assert scenario.series.add(corrected, Arrival(path=Path()), now=1.0, quiet_seconds=QUIET)


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 100)), min_size=1, max_size=20))
def test_every_series_is_released_once_the_sender_is_quiet(arrivals: list[tuple[int, float]]) -> None:
    scenario = Scenario(gap_free=False)
    arrivals.sort(key=lambda item: item[1])
    for number, when in arrivals:
        scenario.arrive(number, now=when)
    assert scenario.steps(arrivals[-1][1] + QUIET)[-1] is Step.RELEASE
    assert set(scenario.series.instances) == {instance(n).sop_uid for n, _ in arrivals}
