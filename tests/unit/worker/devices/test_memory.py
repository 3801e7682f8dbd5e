"""Who gets memory of a device, who waits and who goes; as laws over any order of events."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Models
from hypothesis.stateful import RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from orchestrator.worker.devices.memory import DeviceMemory, Grant

MEMORY_MB = {"cpu": 100, "cuda:0": 60}


def granted(slots: DeviceMemory) -> list[Grant]:
    return list(iter(slots.grant, None))


def warm(slots: DeviceMemory, *models: tuple[str, int], device: str = "cpu") -> None:
    """Let each model run and rest, in this order."""
    for model, memory_mb in models:
        slots.request(model, device, memory_mb)
        assert granted(slots)
        slots.rest(model)


def test_a_model_waits_where_a_running_one_holds_the_memory() -> None:
    slots = DeviceMemory(MEMORY_MB)
    slots.request("one", "cpu", 60)
    slots.request("two", "cpu", 60)
    assert granted(slots) == [Grant("one", "cpu")]
    slots.leave("one")
    assert granted(slots) == [Grant("two", "cpu")]


def test_the_least_recently_used_goes_first_and_no_more_than_needed() -> None:
    slots = DeviceMemory(MEMORY_MB)
    warm(slots, ("a", 30), ("b", 30), ("c", 30), ("a", 30))
    slots.request("d", "cpu", 40)
    assert granted(slots) == [Grant("d", "cpu", ("b",))]


def test_a_warm_model_runs_again_without_anybody_going() -> None:
    slots = DeviceMemory(MEMORY_MB)
    warm(slots, ("a", 60), ("b", 40))
    slots.request("a", "cpu", 60)
    assert granted(slots) == [Grant("a", "cpu")]


def test_a_model_that_was_seen_to_hold_more_needs_more_room() -> None:
    slots = DeviceMemory(MEMORY_MB)
    warm(slots, ("a", 40), ("b", 40))
    slots.observe("a", 50)
    assert slots.free_mb("cpu") == 10
    slots.request("c", "cpu", 20)
    assert granted(slots) == [Grant("c", "cpu", ("a",))]


def test_what_was_seen_counts_only_as_far_as_there_is_room() -> None:
    slots = DeviceMemory(MEMORY_MB)
    warm(slots, ("a", 40), ("b", 40))
    slots.observe("a", 90)
    assert slots.free_mb("cpu") == 0
    slots.request("a", "cpu", 90)
    assert granted(slots) == [Grant("a", "cpu", ("b",))]


def test_a_small_model_does_not_pass_a_large_one_that_waits() -> None:
    slots = DeviceMemory(MEMORY_MB)
    for model, memory_mb in (("running", 60), ("large", 80), ("small", 10)):
        slots.request(model, "cpu", memory_mb)
    assert granted(slots) == [Grant("running", "cpu")]
    slots.leave("running")
    assert [grant.model for grant in granted(slots)] == ["large", "small"]


def test_a_full_device_holds_up_no_other() -> None:
    slots = DeviceMemory(MEMORY_MB)
    for model, device in (("one", "cpu"), ("two", "cpu"), ("three", "cuda:0")):
        slots.request(model, device, 60)
    assert [grant.model for grant in granted(slots)] == ["one", "three"]


@pytest.mark.parametrize("state", ["waits", "runs", "is warm elsewhere"])
def test_a_model_asks_for_one_place_at_a_time(state: str) -> None:
    slots = DeviceMemory(MEMORY_MB)
    slots.request("one", "cpu", 10)
    if state != "waits":
        granted(slots)
    if state == "is warm elsewhere":
        slots.rest("one")
    with pytest.raises(ValueError, match="holds memory or waits"):
        slots.request("one", "cuda:0", 10)


def test_more_than_a_device_has_is_refused() -> None:
    with pytest.raises(ValueError, match="requests 61 MB of cuda:0, which has 60 MB"):
        DeviceMemory(MEMORY_MB).request("one", "cuda:0", 61)


class AnyOrder(RuleBasedStateMachine):
    """Models ask, are granted, rest, end and grow in any order; the test keeps its own books."""

    away = Models("away")  # neither waiting nor running; perhaps warm
    waiting = Models("waiting")
    running = Models("running")

    def __init__(self) -> None:
        super().__init__()
        self.slots = DeviceMemory(MEMORY_MB)
        self.wishes: dict[str, list[str]] = {device: [] for device in MEMORY_MB}  # by age
        self.runs: dict[str, str] = {}  # model -> device
        self.idle: dict[str, str] = {}  # model -> device, least recently used first

    @initialize(target=away)
    def seven_models(self) -> object:
        return multiple(*"abcdefg")

    @rule(target=waiting, model=consumes(away), device=st.sampled_from(sorted(MEMORY_MB)), share=st.integers(1, 100))
    def ask(self, model: str, device: str, share: int) -> str:
        device = self.idle.get(model, device)
        self.slots.request(model, device, max(1, MEMORY_MB[device] * share // 100))
        self.wishes[device].append(model)
        return model

    def serve(self) -> list[str]:
        """Take all grants; each must be the oldest wish of its device, its victims idle and least recently used."""
        grants = granted(self.slots)
        for grant in grants:
            assert self.wishes[grant.device].pop(0) == grant.model
            self.idle.pop(grant.model, None)
            idle_there = [model for model, device in self.idle.items() if device == grant.device]
            assert list(grant.evictions) == idle_there[: len(grant.evictions)]
            for gone in grant.evictions:
                del self.idle[gone]
            self.runs[grant.model] = grant.device
        return [grant.model for grant in grants]

    @rule(target=running)
    def grant(self) -> object:
        return multiple(*self.serve())

    @rule(target=away, model=running, warm=st.booleans())
    def end(self, model: str, warm: bool) -> object:
        if model not in self.runs:  # it ended before
            return multiple()
        device = self.runs.pop(model)
        if warm:
            self.slots.rest(model)
            self.idle[model] = device
        else:
            self.slots.leave(model)
        return model

    @rule(model=st.sampled_from("abcdefg"), memory_mb=st.integers(1, 200))
    def observe(self, model: str, memory_mb: int) -> None:
        self.slots.observe(model, memory_mb)

    @invariant()
    def nothing_is_above_its_memory(self) -> None:
        assert all(self.slots.free_mb(device) >= 0 for device in MEMORY_MB)

    @invariant()
    def who_runs_or_rests_still_has_its_place(self) -> None:
        for model, device in {**self.idle, **self.runs}.items():
            assert self.slots.device_of(model) == device

    def teardown(self) -> None:
        """Nobody starves: once those that run end, one after the other, everybody who waits is served."""
        self.serve()
        while self.runs:
            self.end(next(iter(self.runs)), warm=True)
            self.serve()
        assert not any(self.wishes.values())


TestAnyOrder = AnyOrder.TestCase
