"""Models wait for memory of a device, and make room for each other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from orchestrator.domain.errors import (
    WorkerCrashed,
)
from orchestrator.worker import Device
from tests.integration.worker.pool.conftest import BOTH, CPU, TORCH, Start, model, on_gpu


def test_the_least_recently_used_model_makes_room(host: Start) -> None:
    started = host((CPU,), *(model(name, "cpu") for name in ("one", "two", "three")))
    one, two = started.pid("one"), started.pid("two")
    assert started.pid("one") == one
    started.pid("three")
    assert started.pid("one") == one
    assert started.pid("two") != two


def test_models_that_fit_stay_warm_together(host: Start) -> None:
    started = host((CPU,), *(model(name, "cpu", memory_mb=3000) for name in ("one", "two", "three")))
    pids = [started.pid(name) for name in ("one", "two", "three")]
    assert [started.pid(name) for name in ("one", "two", "three")] == pids


SLEEPS = "start = time.time(); time.sleep(0.4); self.given = f'{start} {time.time()}'"


def test_a_model_waits_rather_than_taking_more_than_there_is(host: Start) -> None:
    started = host((Device("cpu", 5000),), *(model(name, "cpu", predict=SLEEPS) for name in ("one", "two")))
    with ThreadPoolExecutor(2) as pool:
        notes = [done.notes["given"].split() for done in pool.map(started.predict, ("one", "two"))]
    (_, first_end), (second_start, _) = sorted((float(start), float(end)) for start, end in notes)
    assert first_end <= second_start


def test_a_model_that_may_take_more_than_the_machine_has_runs_alone_on_its_cpu(host: Start) -> None:
    models = model("large", "cpu", memory_mb=50_000), model("small", "cpu", memory_mb=128)
    started = host((Device("cpu", 5000),), *models)
    large = started.pid("large")
    started.pid("small")
    assert started.pid("large") != large


def test_what_a_model_was_seen_to_hold_counts(host: Start) -> None:
    """Shared memory is not private memory, which is what the limit of a process bounds."""
    hold = "import mmap; self.held = mmap.mmap(-1, 250 << 20); np.frombuffer(self.held, np.uint8)[:] = 1"
    greedy, other = model("greedy", "cpu", load=hold, memory_mb=200), model("other", "cpu", memory_mb=128)
    started = host((Device("cpu", 400),), greedy, other)
    pid = started.pid("greedy")
    started.workers.warm("other")
    assert started.pid("greedy") != pid


def test_what_nvidia_smi_says_of_a_process_counts(host: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = host(BOTH, *(model(name, "cuda", memory_mb=2000) for name in ("one", "two")))
    one = started.pid("one")
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '{one}, 5000'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    started.pid("two")
    assert started.pid("one") != one


def test_a_model_that_died_gives_its_memory_back(host: Start) -> None:
    started = host((Device("cpu", 5000),), model("dies", "cpu", predict="os.abort()"), model("other", "cpu"))
    with pytest.raises(WorkerCrashed):
        started.predict("dies")
    assert started.predict("other").device == "cpu"


def test_a_model_that_rests_gives_its_memory_back(host: Start) -> None:
    started = host((CPU,), *(model(name, "cpu") for name in ("one", "two", "three")))
    two = [started.pid(name) for name in ("one", "two")][1]
    started.workers.rest("one")
    started.pid("three")
    assert started.pid("two") == two


def test_many_threads_and_little_memory_end_well(host: Start) -> None:
    names = ("one", "two", "three", "four")
    never = on_gpu(f"raise RuntimeError({TORCH!r})")
    sources = [model(name, "any", memory_mb=700, predict=never if name == "one" else "pass") for name in names]
    started = host((Device("cuda:0", 1500), Device("cpu", 1000)), *sources)
    with ThreadPoolExecutor(8) as pool:
        jobs = [(name, request) for request in range(3) for name in names]
        ran_on = dict(zip(jobs, pool.map(lambda job: started.predict(*job).device, jobs), strict=True))
    assert {device for (name, _), device in ran_on.items() if name == "one"} == {"cpu"}
    assert {device for (name, _), device in ran_on.items() if name != "one"} == {"cuda:0"}


def test_closing_sends_away_who_waits_for_a_device(host: Start) -> None:
    running = model("running", "cpu", predict="print('at work', flush=True); time.sleep(600)")
    started = host((Device("cpu", 5000),), running, model("waiting", "cpu"))
    with ThreadPoolExecutor(2) as pool:
        started.workers.warm("running")
        first = pool.submit(started.predict, "running")
        while "at work" not in started.workers.output("running"):
            time.sleep(0.02)
        second = pool.submit(started.predict, "waiting")
        time.sleep(0.2)
        started.workers.close()
        wait([first, second], timeout=120)
    assert "the host ended the process of" in str(first.exception())
    assert "the host ended before waiting could run" in str(second.exception())
