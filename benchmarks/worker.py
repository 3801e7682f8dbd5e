"""R10, R11, R12: what the host adds to a model's own time, and what its import costs.

Yardstick and ours in turn, in one run.

R10  a network over overlapping windows through the host, and bare ``session.run`` over the same windows
R11  from the call of ``predict`` to the model's first line on a warm worker, and one window's run
R12  a process that imports the core (settings, rules, reading, workers, hooks), then one that imports all that
     ``orchestrator run`` needs, and one that imports pydicom and onnxruntime; never torch, monai or itk
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.row import Row, compared, row, show
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, discover
from orchestrator.worker.child.model_grid import windows

PATCH = (64, 128, 128)
CHANNELS = 12
SHAPE = (128, 256, 256)

NETWORK_TOML = """contract = 1
name = "network"
version = "1"
runtime = "onnx"
file = "model.onnx"
sha256 = "{}"
empty = "negative"
input = {{ patch = {} }}
segment = [{{ label = "Lesion", type = "lesion" }}]
"""
CLOCK = """
import time
from orchestrator.sdk import *

class Clock:
    name, version = "clock", "1"

    def predict(self, volume):
        return Result(notes={"entered": str(time.monotonic())})

@hookimpl
def register_models(register):
    register(Clock())
"""
CORE = (
    "import orchestrator.config, orchestrator.rules, orchestrator.hooks, orchestrator.sdk\n"
    "from orchestrator.dicom import gather, plan, fill, read_instance\n"
    "from orchestrator.worker import Workers, discover"
)
RUN = f"{CORE}\nimport orchestrator.app.batch.run"
YARDSTICK = "import pydicom, onnxruntime"
NEVER = ("torch", "monai", "itk")


def write_network(folder: Path) -> Path:
    """Return a model folder: three convolutions of 3 x 3 x 3, as much work as a small U-Net's first level."""
    noise = np.random.default_rng(0)
    sizes = [(CHANNELS, 1), (CHANNELS, CHANNELS), (1, CHANNELS)]
    kernels = [
        numpy_helper.from_array(noise.normal(0, 0.1, (*size, 3, 3, 3)).astype(np.float32), f"w{number}")
        for number, size in enumerate(sizes)
    ]
    nodes = [
        helper.make_node("Conv", [f"x{number}", f"w{number}"], [f"x{number + 1}"], pads=[1] * 6) for number in range(3)
    ]
    shape = [1, 1, *PATCH]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("x3", TensorProto.FLOAT, shape)],
        kernels,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.toml").write_text(NETWORK_TOML.format(hashlib.sha256(content).hexdigest(), list(PATCH)))
    return folder


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    """Give warm workers for the network and for the model that only tells the time."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "clock.py").write_text(CLOCK)
    sources = discover([write_network(folder / "network")], [plugins], entry_points=False)
    with closing(Workers(sources, sandbox="best", weights=folder / "weights")) as opened:
        for name in opened.models():
            opened.warm(name)
        yield opened


def volume(opened: Workers, folder: Path, voxels: npt.NDArray[np.int16]) -> Volume:
    """Return a volume in the folder, as the pipeline would have filled it."""
    array = opened.allocate(folder, voxels.shape, voxels.dtype)
    array[:] = voxels
    return Volume(array, np.eye(4), modality="CT")


def bare(model: Path, voxels: npt.NDArray[np.int16]) -> Callable[[], float]:
    """Return a function that runs the session over all windows, in this process, and says its seconds."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    one, two, three = voxels.shape
    tensors = [voxels[window][None, None].astype(np.float32) for window in windows((one, two, three), PATCH, 0.0)]

    def run() -> float:
        start = time.perf_counter()
        for tensor in tensors:
            session.run(None, {"x0": tensor})
        return time.perf_counter() - start

    run()
    return run


def through_host(opened: Workers, given: Volume, folder: Path) -> float:
    """Return the seconds of one whole ``predict``: checked, and on disk."""
    start = time.perf_counter()
    opened.predict("network", given, folder)
    return time.perf_counter() - start


def until_entered(opened: Workers, given: Volume, folder: Path) -> float:
    """Return the seconds from the call to the model's first line; both processes read one clock."""
    start = time.monotonic()
    return float(opened.predict("clock", given, folder).notes["entered"]) - start


def imported(statement: str) -> None:
    """Import this in a fresh process."""
    subprocess.run([sys.executable, "-c", statement], check=True)


def rows(rounds: int = 7) -> Iterator[Row]:
    """Yield R10, R11 and R12."""
    yield from inference(rounds)
    yield imports(rounds)


def inference(rounds: int) -> Iterator[Row]:
    """Yield R10 and R11."""
    voxels = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    with tempfile.TemporaryDirectory() as name, workers(Path(name)) as opened:
        request = Path(name) / "request"
        given = volume(opened, request, voxels)
        run = bare(Path(name) / "network" / "model.onnx", voxels)
        through_host(opened, given, request)
        walls = [(run(), through_host(opened, given, request)) for _ in range(rounds)]
        starts = [until_entered(opened, given, request) for _ in range(rounds)]
    count = len(list(windows(SHAPE, PATCH, 0.0)))
    yield row("R10", f"inference through the host, {count} windows", "session.run", walls, target=1.05)
    one = [(bare_wall / count, start) for (bare_wall, _), start in zip(walls, starts, strict=True)]
    yield row("R11", "job start on a warm worker", "one window's run", one, target=0.1)


def imports(rounds: int) -> Row:
    """Return R12; AssertionError where the core imports what only models need."""
    subprocess.run(
        [sys.executable, "-c", f"{CORE}\nimport sys\nassert not {{*sys.modules}} & {{*{NEVER!r}}}"], check=True
    )
    walls = compared(lambda: imported(YARDSTICK), lambda: imported(CORE), rounds=rounds)
    return row("R12", "core import", "pydicom and onnxruntime", walls, target=2.0)


if __name__ == "__main__":
    show(rows, __doc__, rounds=7)
