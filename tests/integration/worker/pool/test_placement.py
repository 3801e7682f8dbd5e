"""Models on devices: real model processes, and a GPU that is declared but not there.

What a GPU itself would do is done by the plugins: they raise what onnxruntime and torch raise there.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import (
    DeviceOutOfMemory,
    DeviceUnavailable,
    ModelRaised,
    UnknownRecord,
    WorkerCrashed,
    WorkerOutOfMemory,
)
from orchestrator.domain.ports import Prediction
from orchestrator.domain.volume import Volume
from orchestrator.worker import Device, Workers, discover
from tests.integration.worker.child.networks import SAME, write_model
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


@pytest.mark.parametrize(
    ("needs", "devices", "ran_on"), [("any", BOTH, "cuda:0"), ("any", (CPU,), "cpu"), ("cpu", BOTH, "cpu")]
)
def test_a_model_runs_on_the_device_of_its_choice(
    host: Start, needs: str, devices: tuple[Device, ...], ran_on: str
) -> None:
    prediction = host(devices, model("subject", needs)).predict("subject")
    assert (prediction.device, prediction.notes["given"]) == (ran_on, ran_on)
    assert "fallback" not in prediction.notes


def test_a_process_sees_the_gpu_that_it_was_given_as_the_only_one(host: Start) -> None:
    devices = (Device("cuda:0", 2000), Device("cuda:1", 8000, address="GPU-bbbb"), CPU)
    prediction = host(devices, model("subject", "cuda")).predict("subject")
    assert prediction.device == "cuda:1"
    assert (prediction.notes["given"], prediction.notes["gpus"]) == ("cuda:0", "GPU-bbbb")


def test_a_process_on_the_cpu_sees_no_gpu(host: Start) -> None:
    assert host(BOTH, model("subject", "cpu")).predict("subject").notes["gpus"] == ""


def test_a_model_that_needs_a_gpu_where_there_is_none_is_named_before_anything_runs(host: Start) -> None:
    started = host((CPU,), model("subject", "cuda"))
    sentence = "^subject needs a GPU; this machine offers only cpu$"
    with pytest.raises(DeviceUnavailable, match=sentence):
        started.workers.check_device("subject")
    with pytest.raises(DeviceUnavailable, match=sentence):
        started.predict("subject")
    assert started.workers.peak_memory_mb("subject") is None


@pytest.mark.parametrize("said", [TORCH, ONNX])
@pytest.mark.parametrize("when", ["load", "predict"])
def test_what_is_out_of_memory_on_a_gpu_goes_on_on_the_cpu_and_says_so(host: Start, when: str, said: str) -> None:
    raising = {when: on_gpu(f"raise RuntimeError({said!r})")}
    started = host(BOTH, model("subject", "any", **raising))
    prediction = started.predict("subject")
    assert (prediction.device, prediction.notes["given"], prediction.notes["fallback"]) == ("cpu", "cpu", ON_CPU)


def test_why_a_result_is_of_the_cpu_is_kept_with_it(host: Start) -> None:
    started = host(BOTH, model("subject", "any", predict=on_gpu(f"raise RuntimeError({TORCH!r})")))
    made = started.predict("subject")
    kept = started.workers.kept(started.folder / "subject-0")
    assert (kept.device, kept.notes) == (made.device, made.notes)


def test_the_next_volume_is_tried_on_the_gpu_again(host: Start) -> None:
    once = on_gpu(f"assert not volume.voxels.any(), {TORCH!r}")
    started = host(BOTH, model("subject", "any", predict=once))
    array = started.workers.allocate(started.folder / "large", (2, 3, 4), np.int16)
    array[:] = 1
    large = started.workers.predict("subject", Volume(array, np.eye(4)), started.folder / "large")
    small = started.predict("subject")
    assert (large.device, small.device) == ("cpu", "cuda:0")
    assert "fallback" not in small.notes


def test_a_model_that_needs_a_gpu_stays_out_of_memory_there(host: Start) -> None:
    started = host(BOTH, model("subject", "cuda", predict=f"raise RuntimeError({TORCH!r})"))
    with pytest.raises(DeviceOutOfMemory, match=r"^subject ran out of memory on cuda:0$"):
        started.predict("subject")


def test_a_model_that_is_out_of_memory_on_the_cpu_as_well_has_failed(host: Start) -> None:
    started = host(BOTH, model("subject", "any", predict=f"raise RuntimeError({ONNX!r})"))
    with pytest.raises(WorkerOutOfMemory, match="more than its memory_mb = 4096"):
        started.predict("subject")


def test_another_fault_on_a_gpu_is_not_tried_on_the_cpu(host: Start) -> None:
    started = host(BOTH, model("subject", "any", predict=on_gpu("raise RuntimeError('no kernel image')")))
    with pytest.raises(ModelRaised, match="no kernel image"):
        started.predict("subject")


def test_a_runtime_that_cannot_use_the_gpu_says_so_once_and_stays_on_the_cpu(host: Start) -> None:
    started = host(BOTH, model("subject", "any", load="self.device = 'cpu'"))
    first, second = started.predict("subject"), started.predict("subject")
    assert first.device == "cpu"
    assert first.notes["fallback"] == "ran on cpu because its runtime cannot use cuda:0"
    assert second.notes == first.notes


def test_a_model_that_needs_a_gpu_that_its_runtime_cannot_use_is_named(host: Start) -> None:
    started = host(BOTH, model("subject", "cuda", load="self.device = 'cpu'"))
    with pytest.raises(DeviceUnavailable, match=r"the runtime of .* cannot use cuda:0"):
        started.predict("subject")


STUB = f'''
import types
from pathlib import Path
from orchestrator.worker.child.runtimes.onnx import OnnxNetwork


class Tensor:  # no model
    name, shape = "x", [1, 1, "a", "b", "c"]


class InferenceSession:  # no model
    """As onnxruntime-gpu on a card that is too small."""

    def __init__(self, path, options, providers):
        self.providers = [each if isinstance(each, str) else each[0] for each in providers]

    get_providers = lambda self: self.providers
    get_inputs = get_outputs = lambda self: [Tensor]

    def run(self, wanted, fed):
        if self.providers[0] == "CUDAExecutionProvider":
            raise RuntimeError({ONNX!r})
        return [fed["x"]]


class Options:  # no model
    def add_session_config_entry(self, key, value):
        pass


sys.modules["onnxruntime"] = types.SimpleNamespace(
    SessionOptions=Options,
    InferenceSession=InferenceSession,
    get_available_providers=lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
)
'''


def test_onnxruntime_out_of_memory_on_cuda_goes_on_on_its_cpu_provider(host: Start) -> None:
    load = (
        "self.network = OnnxNetwork(Path('none'), [None], device, 4096); "
        "self.device, self.provider = self.network.device, self.network.provider"
    )
    prediction = host(
        BOTH, STUB, model("subject", "any", load=load, predict="self.network(volume.voxels[None, None])")
    ).predict("subject")
    assert (prediction.device, prediction.notes["provider"]) == ("cpu", "CPUExecutionProvider")
    assert prediction.notes["fallback"] == ON_CPU


def test_a_network_without_a_provider_for_the_gpu_reports_the_cpu(tmp_path: Path) -> None:
    rest = 'segment = [{ label = "Bone", type = "bone" }]\nresources = { device = "any" }\n'
    folder = write_model(tmp_path / "bare", rest, SAME)
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path / "w", devices=BOTH)
    try:
        prediction = predicted(workers, "bare", tmp_path / "request")
    finally:
        workers.close()
    assert (prediction.device, prediction.notes["provider"]) == ("cpu", "CPUExecutionProvider")
    assert prediction.notes["fallback"] == "ran on cpu because its runtime cannot use cuda:0"


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


def test_devices_of_an_unknown_model_are_not_asked_for(host: Start) -> None:
    with pytest.raises(UnknownRecord):
        host((CPU,), model("subject", "cpu")).workers.check_device("other")


@pytest.mark.gpu
@pytest.mark.torch
def test_a_real_gpu_computes_what_the_cpu_does(tmp_path: Path) -> None:
    """The cage lets CUDA through, and the device is the one that computes."""
    source = textwrap.dedent(
        """
        import torch

        class Subject:
            name, version = "subject", "1"
            resources = Resources(device="cuda", memory_mb=2000)

            def load(self, weights, device):
                self.at = torch.device(device)

            def predict(self, volume):
                given = torch.from_numpy(volume.voxels.astype(np.float32)).to(self.at)
                return Result(notes={"sum": str(float((given + 1).sum())), "at": given.device.type})
        """
    )
    started = Host(tmp_path, None, source)
    try:
        prediction = started.predict("subject")
    finally:
        started.workers.close()
    assert (prediction.device[:5], prediction.notes["at"], prediction.notes["sum"]) == ("cuda:", "cuda", "24.0")


@pytest.mark.gpu
def test_a_network_runs_on_a_real_gpu(tmp_path: Path) -> None:
    """Needs onnxruntime-gpu in the host's own environment."""
    rest = 'segment = [{ label = "Bone", type = "bone" }]\nresources = { device = "cuda" }\n'
    workers = Workers(
        discover([write_model(tmp_path / "bare", rest, SAME)], entry_points=False),
        sandbox="required",
        weights=tmp_path / "w",
    )
    try:
        prediction = predicted(workers, "bare", tmp_path / "request")
    finally:
        workers.close()
    assert prediction.device.startswith("cuda:")
    assert prediction.notes["provider"] in ("CUDAExecutionProvider", "TensorrtExecutionProvider")
