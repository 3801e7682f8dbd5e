"""Models on devices: real model processes, and a GPU that is declared but not there.

What a GPU itself would do is done by the plugins: they raise what onnxruntime and torch raise there.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import (
    DeviceOutOfMemory,
    DeviceUnavailable,
    ModelRaised,
    UnknownRecord,
    WorkerOutOfMemory,
)
from orchestrator.domain.volume import Volume
from orchestrator.worker import Device, Workers, discover
from tests.integration.worker.child.networks import SAME, write_model
from tests.integration.worker.pool.conftest import BOTH, CPU, ON_CPU, ONNX, TORCH, Host, Start, model, on_gpu, predicted


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
