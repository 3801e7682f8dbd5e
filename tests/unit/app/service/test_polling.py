"""How often a queue is looked at."""

from __future__ import annotations

import pytest

from orchestrator.app.service.engine.polling import FAST_FOR_SECONDS, FAST_SECONDS, QueuePolling


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
def polling(clock: Clock, looks: list[float]) -> QueuePolling:
    return QueuePolling(looks.append, 0.1, clock=clock)


def test_an_image_makes_it_look_often_and_the_next_ones_change_nothing(
    polling: QueuePolling, looks: list[float]
) -> None:
    polling.speed_up()
    polling.speed_up()
    assert looks == [FAST_SECONDS]


def test_silence_makes_it_look_seldom_again(polling: QueuePolling, clock: Clock, looks: list[float]) -> None:
    polling.speed_up()
    clock.now = FAST_FOR_SECONDS + 0.1
    polling.slow_down()
    polling.slow_down()
    assert looks == [FAST_SECONDS, 0.1]


def test_a_stream_of_images_keeps_it_alert(polling: QueuePolling, clock: Clock, looks: list[float]) -> None:
    for _ in range(100):
        polling.speed_up()
        clock.now += FAST_FOR_SECONDS / 2
        polling.slow_down()
    assert looks == [FAST_SECONDS]


def test_who_looks_more_often_anyway_is_not_slowed_down(clock: Clock, looks: list[float]) -> None:
    QueuePolling(looks.append, FAST_SECONDS / 2, clock=clock).speed_up()
    assert looks == [FAST_SECONDS / 2]
