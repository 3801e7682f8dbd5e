"""Which devices a machine offers, and which of them a model can run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.domain.errors import DeviceUnavailable, SettingsError
from orchestrator.domain.model import ModelDescription, Resources
from orchestrator.worker.child.device import is_out_of_memory, report_device
from orchestrator.worker.child.runtimes.providers import choose_providers, device_of
from orchestrator.worker.devices import devices
from orchestrator.worker.devices.devices import Device, candidates, find_devices, machine_memory_mb

LISTED = "0, GPU-aaaa-1, 81559, NVIDIA H100 80GB HBM3\n1, GPU-bbbb-2, 24564, NVIDIA RTX A5000"
SMALL, LARGE, CPU = Device("cuda:0", 8000), Device("cuda:1", 24000), Device("cpu", 16000)


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an nvidia-smi first on the path that answers as the real one does on a machine with two GPUs."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        'test "$2" = --format=csv,noheader,nounits || exit 1\n'
        'case "$1" in\n'
        f"--query-gpu=index,uuid,memory.total,name) printf '{LISTED}\\n';;\n"
        "--query-compute-apps=pid,used_gpu_memory) printf '71, 1200\\n72, [N/A]\\n71, 300\\n';;\n"
        "*) exit 1;;\nesac\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def model(device: str, memory_mb: int = 4000) -> ModelDescription:
    resources = Resources(device=device, memory_mb=memory_mb)
    return ModelDescription(name="brain", version="1", digest="0", resources=resources)


def test_without_a_driver_there_is_the_cpu_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_devices(environ={}) == (Device("cpu", machine_memory_mb()),)


@pytest.mark.usefixtures("two_gpus")
def test_every_gpu_is_found_with_its_memory() -> None:
    first, second, cpu = find_devices(environ={})
    assert first == Device("cuda:0", 81559, "NVIDIA H100 80GB HBM3", "GPU-aaaa-1")
    assert second == Device("cuda:1", 24564, "NVIDIA RTX A5000", "GPU-bbbb-2")
    assert cpu.name == "cpu"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "found"),
    [("1", ["GPU-bbbb-2"]), ("1,0", ["GPU-bbbb-2", "GPU-aaaa-1"]), ("GPU-bbbb", ["GPU-bbbb-2"]), ("", []), ("-1", [])],
)
def test_gpus_are_counted_as_cuda_shows_them(visible: str, found: list[str]) -> None:
    gpus = [device for device in find_devices(environ={"CUDA_VISIBLE_DEVICES": visible}) if device.is_gpu]
    assert [(gpu.name, gpu.address) for gpu in gpus] == [(f"cuda:{n}", uuid) for n, uuid in enumerate(found)]


@pytest.mark.usefixtures("two_gpus")
def test_only_what_is_named_is_offered_and_with_the_memory_that_is_declared() -> None:
    assert find_devices(["cuda:1=16000"], {}) == (Device("cuda:1", 16000, "NVIDIA RTX A5000", "GPU-bbbb-2"),)


@pytest.mark.parametrize(("visible", "address"), [(None, "0"), ("MIG-1,MIG-2", "MIG-1")])
def test_a_gpu_that_cannot_be_listed_is_believed_with_its_memory(visible: str | None, address: str) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert find_devices(["cuda:0=8000"], environ) == (Device("cuda:0", 8000, "", address),)


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r'devices: this machine has no cuda:0, only cpu\. .* such as "cuda:0=16000"$'
    with pytest.raises(SettingsError, match=message):
        find_devices(["cuda:0"], {})


@pytest.mark.usefixtures("two_gpus")
def test_what_each_process_holds_on_all_gpus_is_added_up() -> None:
    assert devices.gpu_memory_by_process() == {71: 1500}


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text(f"{512 << 20}\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(devices, "CGROUP_LIMITS", (tmp_path / "none", tmp_path / "memory.max", tmp_path / "missing"))
    assert machine_memory_mb() == 512


@pytest.mark.parametrize(
    ("needs", "there", "chosen"),
    [
        (model("cpu"), [SMALL, CPU], [CPU]),
        (model("any"), [SMALL, LARGE, CPU], [SMALL, LARGE, CPU]),
        (model("any"), [CPU], [CPU]),
        (model("any", 9000), [SMALL, LARGE, CPU], [LARGE, CPU]),
        (model("any", 30000), [SMALL, LARGE, CPU], [CPU]),
        (model("cuda"), [SMALL, LARGE, CPU], [SMALL, LARGE]),
        (model("cpu", 64000), [CPU], [CPU]),
    ],
)
def test_a_model_runs_where_it_may_and_fits(needs: ModelDescription, there: list[Device], chosen: list[Device]) -> None:
    assert list(candidates(needs, there)) == chosen


@pytest.mark.parametrize(
    ("needs", "there", "sentence"),
    [
        (model("cuda"), [CPU], "brain needs a GPU; this machine offers only cpu"),
        (model("cpu"), [SMALL, LARGE], "brain needs the CPU; this machine offers only cuda:0 and cuda:1"),
        (
            model("cuda", 30000),
            [SMALL, LARGE, CPU],
            "brain needs a GPU with 30000 MB; the largest here, cuda:1, has 24000 MB",
        ),
    ],
)
def test_a_model_that_can_run_nowhere_is_told_so(needs: ModelDescription, there: list[Device], sentence: str) -> None:
    with pytest.raises(DeviceUnavailable) as raised:
        candidates(needs, there)
    assert str(raised.value) == sentence


def test_a_process_sees_its_own_gpu_or_none() -> None:
    gpu = Device("cuda:1", 24564, "NVIDIA RTX A5000", "GPU-bbbb-2")
    assert (gpu.inside, gpu.environment["CUDA_VISIBLE_DEVICES"]) == ("cuda:0", "GPU-bbbb-2")
    assert (CPU.inside, CPU.environment["CUDA_VISIBLE_DEVICES"], CPU.files) == ("cpu", "", ())


BOUND = {"device_id": 0, "gpu_mem_limit": 4000 << 20, "arena_extend_strategy": "kSameAsRequested"}


@pytest.mark.parametrize(
    ("device", "offers", "wanted"),
    [
        ("cpu", ["CUDAExecutionProvider", "CPUExecutionProvider"], []),
        ("cuda:0", ["CPUExecutionProvider"], []),
        (
            "cuda:0",
            ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
            [("CUDAExecutionProvider", BOUND)],
        ),
        (
            "cuda:0",
            ["TensorrtExecutionProvider", "CPUExecutionProvider"],
            [("TensorrtExecutionProvider", {"device_id": 0})],
        ),
    ],
)
def test_the_provider_is_what_onnxruntime_offers(device: str, offers: list[str], wanted: list[object]) -> None:
    assert choose_providers(device, offers, 4000) == [*wanted, "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("provider", "runs_on"),
    [("CUDAExecutionProvider", "cuda:0"), ("TensorrtExecutionProvider", "cuda:0"), ("CPUExecutionProvider", "cpu")],
)
def test_a_session_runs_where_its_provider_is(provider: str, runs_on: str) -> None:
    assert device_of(provider, "cuda:0") == runs_on


@pytest.mark.parametrize(("says", "told"), [("cpu", "cpu"), ("cuda:0", "cuda:0"), ("cuda", "cuda:0"), ("", "cuda:0")])
def test_a_model_may_say_that_it_runs_elsewhere(says: str, told: str) -> None:
    class Subject:
        device = says

    assert report_device(Subject(), "cuda:0") == {"device": told, "provider": ""}


@pytest.mark.parametrize(
    "said",
    [
        # torch 2.x, torch.OutOfMemoryError
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which 14.30 GiB is"
        " free.",
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
        " allocate 80000000000000 bytes.",
        # onnxruntime, bfc_arena.cc and cuda_call.cc
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node."
        " Name:'conv' Status Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested"
        " buffer of size 8589934592",
        "bfc_arena.cc:364 AllocateRawInternal Available memory of 1024 is smaller than requested bytes of 4096",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; file=cuda_allocator.cc ; line=48 ; expr=cudaMalloc()",
        "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        # TensorRT
        "Error Code 2: OutOfMemory (Requested size was 2147483648 bytes.)",
    ],
)
def test_out_of_memory_is_known_by_what_runtimes_say(said: str) -> None:
    assert is_out_of_memory(RuntimeError(said))


@pytest.mark.parametrize("said", ["CUDA error: no kernel image is available", "index out of range", "Got invalid rank"])
def test_other_faults_are_not_taken_for_a_lack_of_memory(said: str) -> None:
    assert not is_out_of_memory(RuntimeError(said))
