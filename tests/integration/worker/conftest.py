"""Model plugins written by a test and run in real model processes."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.ports import Prediction
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, discover
from orchestrator.worker.process.process import Sandbox

SPL = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])
"""Axial slices 2 mm apart from the feet up, pixels of 1 mm."""
Predict = Callable[..., Prediction]
"""(model folder, voxels, affine) -> what the model says."""

HEAD = "import os, sys, time, numpy as np\nfrom orchestrator.sdk import *\n"


class Bench:
    """A host's worker side with one plugin file, and a folder for its requests."""

    def __init__(self, folder: Path, source: str, sandbox: Sandbox) -> None:
        plugins = folder / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "subject.py").write_text(HEAD + textwrap.dedent(source))
        self.folder = folder
        self.workers = Workers(discover([], [plugins], entry_points=False), sandbox=sandbox, weights=folder / "weights")

    def predict(self, voxels: Any = None, model: str = "subject", **facts: str) -> Prediction:
        """Return what the model says about the voxels (slice, row, column), by default 4 x 5 x 6 zeros."""
        given = np.zeros((4, 5, 6), np.int16) if voxels is None else voxels
        request = self.folder / f"request-{model}"
        array = self.workers.allocate(request, given.shape, given.dtype)
        array[:] = given
        volume = Volume(array, np.eye(4), unit="[hnsf'U]", modality="CT", facts=facts)
        return self.workers.predict(model, volume, request)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Give a function that builds a Bench from a plugin's source and closes it after the test."""
    built: list[Bench] = []

    def build(source: str, sandbox: Sandbox = "required") -> Bench:
        built.append(Bench(tmp_path / f"bench-{len(built)}", source, sandbox))
        return built[-1]

    yield build
    for each in built:
        each.workers.close()


@pytest.fixture
def predict(tmp_path: Path) -> Iterator[Predict]:
    """Give a function that runs a model folder in a real process; its workers are closed after the test."""
    opened: list[Workers] = []

    def run(folder: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64] | None = SPL) -> Prediction:
        workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path / "weights")
        opened.append(workers)
        assert [plugin.error for plugin in workers.listing()] == [""]
        array = workers.allocate(tmp_path / "request", voxels.shape, voxels.dtype)
        array[:] = voxels
        return workers.predict(folder.name, Volume(array, affine, unit="[hnsf'U]"), tmp_path / "request")

    yield run
    for workers in opened:
        workers.close()


def subject(predict: str, attributes: str = "") -> str:
    """Return the source of a plugin with one model, ``subject``, whose predict has this body."""
    return (
        "class Subject:\n    name = 'subject'\n    version = '1'\n"
        + textwrap.indent(textwrap.dedent(attributes), "    ")
        + "\n    def predict(self, volume):\n"
        + textwrap.indent(textwrap.dedent(predict), "        ")
        + "\n\n@hookimpl\ndef register_models(register):\n    register(Subject())\n"
    )


def runs(pid: int) -> bool:
    """Return whether a thread of the process still runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    """Return whether all of them end within a while."""
    deadline = time.monotonic() + 30
    while any(runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(runs(pid) for pid in pids)
