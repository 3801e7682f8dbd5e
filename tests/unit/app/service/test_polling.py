"""How often a queue is looked at."""

from __future__ import annotations

import pytest

from orchestrator.app.service.engine.polling import ALERT_SECONDS, LASTS_SECONDS, Attention


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def looks() -> list[float]:
    return []


@pytest.fixture
def attention(clock: Clock, looks: list[float]) -> Attention:
    return Attention(looks.append, 0.1, clock=clock)


def test_an_image_makes_it_look_often_and_the_next_ones_change_nothing(
    attention: Attention, looks: list[float]
) -> None:
    attention.rouse()
    attention.rouse()
    assert looks == [ALERT_SECONDS]


def test_silence_makes_it_look_seldom_again(attention: Attention, clock: Clock, looks: list[float]) -> None:
    attention.rouse()
    clock.now = LASTS_SECONDS + 0.1
    attention.settle()
    attention.settle()
    assert looks == [ALERT_SECONDS, 0.1]


def test_a_stream_of_images_keeps_it_alert(attention: Attention, clock: Clock, looks: list[float]) -> None:
    for _ in range(100):
        attention.rouse()
        clock.now += LASTS_SECONDS / 2
        attention.settle()
    assert looks == [ALERT_SECONDS]


def test_who_looks_more_often_anyway_is_not_slowed_down(clock: Clock, looks: list[float]) -> None:
    Attention(looks.append, ALERT_SECONDS / 2, clock=clock).rouse()
    assert looks == [ALERT_SECONDS / 2]
