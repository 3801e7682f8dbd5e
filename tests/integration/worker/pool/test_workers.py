"""One warm process for each model: shared, kept apart, ended and started again."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import ModelRaised, SandboxUnavailable, StorageFull, UnknownRecord, WorkerCrashed
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, cage_layers, discover
from orchestrator.worker.process import process
from orchestrator.worker.process.cage import FULL
from orchestrator.worker.process.launch import Launcher
from tests.integration.worker.conftest import Bench, gone, subject

Build = Callable[..., Bench]
PID = subject("return Result(notes={'pid': str(os.getpid())})")
TWO = """
class Slow:
    version = '1'

    def __init__(self, name):
        self.name = name

    def predict(self, volume):
        start = time.time()
        time.sleep(0.5)
        return Result(notes={"span": f"{start} {time.time()}"})

@hookimpl
def register_models(register):
    register(Slow("one"))
    register(Slow("two"))
"""


def span(bench: Bench, model: str, request: int) -> tuple[float, float]:
    folder = bench.folder / f"{model}-{request}"
    array = bench.workers.allocate(folder, (1, 1, 1), np.int16)
    start, end = bench.workers.predict(model, Volume(array, None), folder).notes["span"].split()
    return float(start), float(end)


def test_one_model_takes_one_volume_at_a_time_and_two_models_run_together(bench: Build) -> None:
    running = bench(TWO)
    for model in ("one", "two"):
        running.workers.warm(model)
    together = False
    for attempt in range(20):  # a busy machine may start the second model after the first has ended
        with ThreadPoolExecutor(4) as pool:
            jobs = [(model, 2 * attempt + number) for number in (1, 2) for model in ("one", "two")]
            spans = list(pool.map(lambda job: span(running, *job), jobs))
        first, second = sorted(spans[::2])
        assert first[1] <= second[0]
        together = max(start for start, _ in sorted(spans)[:2]) < min(end for _, end in spans)
        if together:
            break
    assert together


def test_a_process_stays_warm(bench: Build) -> None:
    model = bench(PID)
    assert model.predict().notes == model.predict().notes


def test_a_process_that_died_is_started_again(bench: Build) -> None:
    model = bench(PID)
    first = int(model.predict().notes["pid"])
    os.kill(first, 9)
    assert gone([first])
    assert int(model.predict().notes["pid"]) != first


def test_an_idle_process_is_ended(bench: Build) -> None:
    model = bench(PID)
    first = model.predict().notes
    model.workers.rest_idle(60)
    assert model.predict().notes == first
    model.workers.rest_idle(0)
    assert model.predict().notes != first


def test_a_prediction_is_kept_in_its_folder_after_a_restart(bench: Build) -> None:
    source = subject("return Result([Segment('All', volume.voxels >= 0, codes['bone'])], notes={'a': 'b'})")
    made = bench(source).predict()
    other = bench(PID)
    kept = other.workers.kept(other.folder.parent / "bench-0" / "request-subject")
    assert (kept.result.segments[0].mask == made.result.segments[0].mask).all()
    assert (kept.device, kept.seconds, kept.notes) == (made.device, made.seconds, {"a": "b"})


def test_a_failed_attempt_keeps_nothing_of_the_one_before(bench: Build) -> None:
    model = bench(subject("if volume.voxels.any(): raise ValueError\nreturn Result()"))
    model.predict()
    with pytest.raises(Exception, match="ValueError"):
        model.predict(np.ones((4, 5, 6), np.int16))
    with pytest.raises(UnknownRecord):
        model.workers.kept(model.folder / "request-subject")


def test_voxels_from_elsewhere_are_refused(bench: Build, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the array that allocate"):
        bench(PID).workers.predict("subject", Volume(np.zeros((1, 2, 3), np.int16), None), tmp_path)


def test_this_machine_gives_the_whole_cage() -> None:
    assert cage_layers() == FULL


def test_a_required_cage_that_cannot_be_had_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_pyseccomp", lambda: None)
    (tmp_path / "subject.py").write_text("from orchestrator.sdk import *\n" + PID)
    sources = discover([], [tmp_path], entry_points=False)
    with pytest.raises(SandboxUnavailable, match="missing: network, seccomp"):
        Workers(sources, sandbox="required", weights=tmp_path / "w")


def test_the_best_cage_is_taken_where_the_whole_cannot_be_had(bench: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_pyseccomp", lambda: None)
    model = bench(PID, sandbox="best")
    assert model.predict().device == "cpu"
    assert cage_layers() == {"files", "signals"}


def test_closing_ends_every_process(bench: Build) -> None:
    model = bench(PID)
    pid = int(model.predict().notes["pid"])
    model.workers.close()
    assert gone([pid])


def test_a_model_that_cannot_load_says_so_each_time(bench: Build) -> None:
    model = bench(subject("return Result()", "def load(self, weights, device): raise KeyError('layer')"))
    for _ in range(2):
        with pytest.raises(ModelRaised, match="KeyError: 'layer'"):
            model.predict()
    while "Traceback" not in model.workers.output("subject"):  # a thread reads what the process writes
        time.sleep(0.02)


def test_closing_ends_what_is_at_work(bench: Build) -> None:
    model = bench(subject("print('at work', flush=True)\ntime.sleep(60)"))
    with ThreadPoolExecutor(1) as pool:
        at_work = pool.submit(model.predict)
        while "at work" not in model.workers.output("subject"):
            time.sleep(0.02)
        model.workers.close()
        with pytest.raises(WorkerCrashed, match="the host ended the process"):
            at_work.result(120)


def test_what_a_killed_host_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "orchestrator-workers-left"
    left.mkdir()
    held = Launcher("off")
    Launcher("off").close()
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 1
    held.close()
    assert list(tmp_path.iterdir()) == []


def test_a_volume_that_the_disk_cannot_hold_is_refused_at_once(bench: Build, tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="no space for a volume of"):
        bench(PID).workers.allocate(tmp_path, (1 << 20, 1 << 14, 1 << 14), np.int16)
