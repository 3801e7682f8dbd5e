"""Models on devices: real model processes, and a GPU that is declared but not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.ports import Prediction
from orchestrator.domain.volume import Volume
from orchestrator.worker import Device, Workers, discover
from tests.integration.worker.conftest import HEAD

GPU, CPU = Device("cuda:0", 6000), Device("cpu", 9000)
BOTH = (GPU, CPU)
ON_CPU = "ran on cpu after cuda:0 was out of memory"

MODEL = """
class {kind}:
    name, version = "{name}", "1"
    resources = Resources(device="{device}", memory_mb={memory_mb})

    def load(self, weights, device):
        self.given = device
        {load}

    def predict(self, volume):
        {predict}
        told = {{"given": self.given, "pid": str(os.getpid()), "gpus": os.environ["CUDA_VISIBLE_DEVICES"]}}
        return Result(notes=told)
"""
TORCH = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB."
ONNX = "AllocateRawInternal Failed to allocate memory for requested buffer of size 8589934592"


def model(name: str, device: str, *, load: str = "pass", predict: str = "pass", memory_mb: int = 4096) -> str:
    """Return the source of a model."""
    return MODEL.format(kind=name.title(), name=name, device=device, memory_mb=memory_mb, load=load, predict=predict)


def on_gpu(what: str) -> str:
    """Return a statement that runs only where the model was given a GPU."""
    return f"if self.given.startswith('cuda'): {what}"


class Host:
    """Workers with some models of one plugin, on some devices."""

    def __init__(self, folder: Path, devices: tuple[Device, ...] | None, *models: str) -> None:
        kinds = [line[6:-1] for source in models for line in source.splitlines() if re.fullmatch(r"class \w+:", line)]
        registered = "".join(f"\n    register({kind}())" for kind in kinds)
        plugins = folder / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "subject.py").write_text(
            HEAD + "".join(models) + f"\n@hookimpl\ndef register_models(register):{registered}\n"
        )
        self.folder = folder
        self.workers = Workers(
            discover([], [plugins], entry_points=False), sandbox="required", weights=folder / "w", devices=devices
        )
        assert [listing.error for listing in self.workers.listing()] == [""]

    def predict(self, name: str, request: int = 0) -> Prediction:
        """Return what the model says about nothing in particular."""
        return predicted(self.workers, name, self.folder / f"{name}-{request}")

    def pid(self, name: str) -> str:
        """Return the process that the model runs in now."""
        return self.predict(name).notes["pid"]


def predicted(workers: Workers, name: str, folder: Path) -> Prediction:
    array = workers.allocate(folder, (2, 3, 4), np.int16)
    return workers.predict(name, Volume(array, np.eye(4)), folder)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Give a function that starts a Host and closes it after the test."""
    started: list[Host] = []

    def start(devices: tuple[Device, ...], *models: str) -> Host:
        started.append(Host(tmp_path / f"host-{len(started)}", devices, *models))
        return started[-1]

    yield start
    for each in started:
        each.workers.close()


Start = Callable[..., Host]
