"""Models start on a hint, results leave on a proof."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.domain.series import Instance
from orchestrator.pipeline.completion import Completion, Step

QUIET = 30.0


def instance(number: int, *, series: str = "1.2.3", digest: str = "") -> Instance:
    return Instance("1.2", series, f"{series}.{number}", "1.2.840.10008.5.1.4.1.1.2", Path(), digest or f"d{number}")


def completion(*, gap_free: bool = True, announced: int | None = None) -> Completion:
    return Completion(gap_free=lambda _: gap_free, expected_count=lambda _: announced)


def arrive(watch: Completion, *numbers: int, now: float = 0.0, association: str = "a", sender: str = "CT1") -> bool:
    reopened = [
        watch.arrived(instance(n), now=now, quiet_seconds=QUIET, association=association, sender=sender)
        for n in numbers
    ]
    return any(reopened)


def steps(watch: Completion, now: float) -> list[Step]:
    """Take the steps that are due."""
    due = watch.due(now)
    for step in due:
        watch.done(step)
    return [step.step for step in due]


def test_a_released_association_with_gap_free_images_starts_the_models_but_releases_nothing() -> None:
    watch = completion()
    arrive(watch, 1, 2, 3)
    watch.closed("a", released=True, sender="CT1", others_open=0)
    assert steps(watch, 0.1) == [Step.START]
    assert steps(watch, QUIET - 1) == []
    assert steps(watch, QUIET) == [Step.RELEASE]


def test_the_announced_number_of_images_starts_and_releases_at_once() -> None:
    watch = completion(announced=3)
    arrive(watch, 1, 2)
    assert steps(watch, 0.0) == []
    arrive(watch, 3)
    assert steps(watch, 0.0) == [Step.START, Step.RELEASE]


def test_a_count_that_somebody_tells_starts_and_releases_at_once() -> None:
    watch = completion(gap_free=False)
    arrive(watch, 1, 2)
    watch.announced("1.2.3", 3, "vna says that the series is complete")
    assert steps(watch, 0.0) == []
    arrive(watch, 3)
    (start, release) = watch.due(0.0)
    assert (start.step, release.step) == (Step.START, Step.RELEASE)
    assert release.reason == "vna says that the series is complete: all 3 images arrived"


def test_a_count_that_is_too_small_proves_nothing() -> None:
    watch = completion(gap_free=False)
    arrive(watch, 1, 2, 3)
    watch.announced("1.2.3", 2, "vna says that the series is complete")
    watch.announced("9.9.9", 2, "of a series that is not in hand")
    assert steps(watch, 0.0) == []
    assert steps(watch, QUIET) == [Step.START, Step.RELEASE]


def test_without_any_signal_the_quiet_period_starts_and_releases() -> None:
    watch = completion(gap_free=False)
    arrive(watch, 1)
    assert steps(watch, QUIET - 0.1) == []
    assert steps(watch, QUIET) == [Step.START, Step.RELEASE]


@pytest.mark.parametrize(
    ("released", "others_open"), [(False, 0), (True, 1)], ids=["aborted", "another association is open"]
)
def test_an_aborted_or_a_parallel_association_is_no_hint(released: bool, others_open: int) -> None:
    watch = completion()
    arrive(watch, 1, 2)
    watch.closed("a", released=released, sender="CT1", others_open=others_open)
    assert steps(watch, 1.0) == []


def test_images_by_two_associations_are_no_hint() -> None:
    watch = completion()
    arrive(watch, 1, 2, association="a")
    arrive(watch, 3, association="b")
    watch.closed("a", released=True, sender="CT1", others_open=1)
    watch.closed("b", released=True, sender="CT1", others_open=0)
    assert steps(watch, 1.0) == []


def test_the_last_of_parallel_associations_to_close_gives_the_hint() -> None:
    watch = completion()
    arrive(watch, 1, 2)
    watch.closed("a", released=True, sender="CT1", others_open=1)
    watch.closed("other", released=True, sender="CT1", others_open=0)
    assert steps(watch, 1.0) == [Step.START]


def test_an_aborted_series_gets_no_hint_when_a_later_association_of_the_sender_closes() -> None:
    watch = completion()
    arrive(watch, 1, 2)
    watch.closed("a", released=False, sender="CT1", others_open=0)
    watch.closed("later", released=True, sender="CT1", others_open=0)
    assert steps(watch, 1.0) == []


def test_a_late_image_after_the_start_reopens_the_series() -> None:
    watch = completion()
    arrive(watch, 1, 2)
    watch.closed("a", released=True, sender="CT1", others_open=0)
    steps(watch, 0.1)
    assert arrive(watch, 3, now=5.0, association="b")
    assert steps(watch, QUIET) == []
    assert steps(watch, 5.0 + QUIET) == [Step.START, Step.RELEASE]


def test_a_plain_resend_reopens_nothing() -> None:
    watch = completion()
    arrive(watch, 1, 2)
    watch.closed("a", released=True, sender="CT1", others_open=0)
    steps(watch, 0.1)
    assert not arrive(watch, 1, now=1.0, association="b")


def test_a_corrected_resend_reopens() -> None:
    watch = completion(announced=1)
    watch.resumed([instance(1)], started=True, last_arrival=0.0, quiet_seconds=QUIET)
    assert watch.arrived(instance(1, digest="corrected"), now=1.0, quiet_seconds=QUIET)


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 100)), min_size=1, max_size=20))
def test_every_series_is_released_once_the_sender_is_quiet(arrivals: list[tuple[int, float]]) -> None:
    watch = completion(gap_free=False)
    arrivals.sort(key=lambda item: item[1])
    for number, when in arrivals:
        watch.arrived(instance(number), now=when, quiet_seconds=QUIET)
    last = watch.due(arrivals[-1][1] + QUIET)
    assert last[-1].step is Step.RELEASE
    assert {item.sop_uid for item in last[-1].instances} == {instance(n).sop_uid for n, _ in arrivals}
