"""Every way a model can fail has its named outcome, and the next volume finds a working process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import (
    InvalidResult,
    ModelRaised,
    NotApplicable,
    OrchestratorError,
    UnsupportedInput,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerTimeout,
)
from tests.integration.worker.conftest import Bench, gone, runs, subject

Build = Callable[..., Bench]
SHORT = "resources = Resources(timeout_seconds=3.0)"
SMALL = "resources = Resources(memory_mb=256)"

WRITE = """
import socket
for number in range(3, 1024):
    try:
        socket.socket(fileno=os.dup(number)).sendall({})
    except OSError:
        pass
"""
"""Writes to every open file that is a socket: the channel to the host."""

OUTCOMES = {
    "raises": ("raise KeyError('no such thing')", "", ModelRaised, "subject raised KeyError: 'no such thing'"),
    "raises many lines": ("raise ValueError('one\\ntwo')", "", ModelRaised, "subject raised ValueError: one$"),
    "refuses": ("raise UnsupportedInput('too few slices')", "", UnsupportedInput, "refused-by-model: too few slices"),
    "has nothing to say": ("raise NotApplicable('no spine in it')", "", NotApplicable, "^no spine in it$"),
    "exits": ("sys.exit(3)", "", ModelRaised, "SystemExit: 3"),
    "exits at once": ("os._exit(3)", "", WorkerCrashed, "subject ended unexpectedly: exit status 3"),
    "aborts": ("os.abort()", "", WorkerCrashed, "killed by SIGABRT"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "", WorkerCrashed, "killed by SIGSEGV"),
    "hangs": ("time.sleep(600)", SHORT, WorkerTimeout, "did not answer within 3 s and was killed"),
    "hangs deaf": (
        "import signal; signal.pthread_sigmask(0, range(1, 65)); time.sleep(600)",
        SHORT,
        WorkerTimeout,
        "killed",
    ),
    "returns None": ("return None", "", InvalidResult, "NoneType, expected a Result"),
    "returns a mask": ("return volume.voxels > 0", "", InvalidResult, "ndarray, expected a Result"),
    "wrong shape": ("return Result([Segment('x', volume.voxels[1:] > 0, codes['bone'])])", "", InvalidResult, "shape"),
    "probabilities": (
        "return Result([Segment('x', volume.voxels * 0.5, codes['bone'])])",
        "",
        InvalidResult,
        "float64, expected bool",
    ),
    "labels": ("return Result([Segment('x', volume.voxels + 7, codes['bone'])])", "", InvalidResult, "0 and 1"),
    "not a number": (
        "return Result(measurements=[Measurement(codes['mean'], float('nan'), '1')])",
        "",
        InvalidResult,
        "finite",
    ),
    "no code": ("return Result(findings=[Finding('Nodule')])", "", InvalidResult, "Code"),
    "unknown concept": ("codes['livr']", "", ModelRaised, "did you mean 'liver'"),
    "takes too much memory": ("np.ones(10**9)", SMALL, WorkerOutOfMemory, "more than its memory_mb = 256"),
    "killed for memory": ("os.kill(os.getpid(), 9)", "", WorkerOutOfMemory, "SIGKILL"),
    "floods the channel": (WRITE.format("b'x' * 3_000_000"), "", WorkerCrashed, "a line longer than 1 MiB"),
    "speaks nonsense": (WRITE.format("b'nonsense\\n'"), "", WorkerCrashed, "a line that is not JSON"),
    "forges an answer": (WRITE.format("b'{\"seconds\": -1}\\n'"), "", WorkerCrashed, "sent an invalid answer: seconds"),
    "closes its channel": ("os.closerange(3, 1024); time.sleep(600)", "", WorkerCrashed, "closed its connection"),
}


@pytest.mark.parametrize(("predict", "attributes", "error", "message"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_a_model_that_fails_has_a_named_outcome_and_can_be_used_again(
    bench: Build, predict: str, attributes: str, error: type[OrchestratorError], message: str
) -> None:
    model = bench(subject("if volume.voxels.any():\n" + _indented(predict) + "\nreturn Result()", attributes))
    with pytest.raises(error, match=message):
        model.predict(np.ones((2, 3, 4), np.int16))
    assert model.predict().result.segments == ()


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())


def test_what_a_model_prints_does_not_disturb_the_protocol(bench: Build) -> None:
    model = bench(subject("for _ in range(20000): print('{}' * 20)\nos.write(1, b'{}\\n')\nreturn Result()"))
    assert model.predict().result.segments == ()
    assert len(model.workers.output("subject")) <= 64 * 1024


def test_the_author_sees_the_traceback(bench: Build) -> None:
    model = bench(subject("raise KeyError('no such thing')"))
    with pytest.raises(ModelRaised):
        model.predict()
    deadline = time.monotonic() + 30  # what is printed comes by a pipe of its own, not in step with the answer
    while "KeyError" not in model.workers.output("subject") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "Traceback" in model.workers.output("subject")


def test_children_of_a_model_die_with_it(bench: Build, tmp_path: Path) -> None:
    model = bench(
        subject(
            """
            import subprocess
            child = subprocess.Popen(["sleep", "600"])
            fork = os.fork()
            if fork == 0:
                time.sleep(600)
            return Result(notes={"pids": f"{child.pid} {fork}"})
            """
        )
    )
    pids = [int(pid) for pid in model.predict().result.notes["pids"].split()]
    assert all(runs(pid) for pid in pids)
    model.workers.rest("subject")
    assert gone(pids)


def test_a_fork_that_returns_as_well_answers_once(bench: Build) -> None:
    model = bench(subject("os.fork()\nreturn Result(notes={'n': str(int(volume.voxels.max()))})"))
    answers = [model.predict(np.full((2, 3, 4), n, np.int16)).result.notes["n"] for n in (1, 2, 3)]
    assert answers == ["1", "2", "3"]


HOST = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[4])!r})
from pathlib import Path
from tests.integration.worker.conftest import Bench, gone, runs, subject
bench = Bench(Path(sys.argv[1]), subject(
    "import subprocess\\n"
    "fork = os.fork()\\n"
    "if fork == 0: time.sleep(600)\\n"
    "return Result(notes={{'pids': f'{{os.getpid()}} {{fork}}'}})"
), "required")
print(bench.predict().result.notes["pids"], flush=True)
time.sleep(600)
"""


def test_a_killed_host_leaves_no_orphans(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, tmp_path / "bench"], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        host.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    assert gone(pids)


def test_a_process_outlives_the_thread_that_asked_first(bench: Build) -> None:
    from threading import Thread

    model = bench(subject("return Result(notes={'pid': str(os.getpid())})"))
    pids: list[str] = []
    for _ in range(2):
        thread = Thread(target=lambda: pids.append(model.predict().result.notes["pid"]))
        thread.start()
        thread.join()
        time.sleep(0.05)
    assert pids[0] == pids[1]
