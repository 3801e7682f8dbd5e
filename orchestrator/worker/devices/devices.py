"""Finds the devices of this machine (CPU and GPUs) and their memory, and chooses those that fit a model."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.domain.errors import DeviceUnavailable, SettingsError
from orchestrator.domain.model import ModelDescription
from orchestrator.worker.child.runtimes.providers import ON_A_GPU

CPU = "cpu"
AUTO = ("auto",)
"""All GPUs of the machine, and the CPU."""

SMI_SECONDS = 20.0  # without the persistence daemon the driver starts again for each call
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Makes CUDA number the GPUs as nvidia-smi does; its default order is by speed."""

CUDA_HOST_MB = 8192
"""Upper bound for CUDA's context, library data and pinned buffers; generous, since only GPU memory is scarce."""

GPU_FILES = ("/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/module", "/sys/devices")
"""Files that the CUDA driver reads at start, besides those that every process may read."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device: ``cpu`` or ``cuda:N``; N counts the GPUs that the host can see.

    product: its name, for people. address: the UUID or index by which CUDA identifies the GPU.
    """

    name: str
    memory_mb: int
    product: str = ""
    address: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.name != CPU

    @property
    def inside(self) -> str:
        """The name of the device inside the model process, which sees at most one GPU."""
        return "cuda:0" if self.is_gpu else CPU

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the model process: it sees this GPU, or none."""
        return {"CUDA_VISIBLE_DEVICES": self.address, **PCI_ORDER}

    @property
    def host_mb(self) -> int:
        """Main memory that CUDA itself needs, besides what the model declares."""
        return CUDA_HOST_MB if self.is_gpu else 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The device files that the model process may use."""
        return tuple(sorted(Path("/dev").glob("nvidia*"))) if self.is_gpu else ()

    @property
    def read(self) -> tuple[Path, ...]:
        """Files that the model process may read, besides those that every process may."""
        return tuple(map(Path, GPU_FILES)) if self.is_gpu else ()

    def __str__(self) -> str:
        product = f" ({self.product})" if self.product else ""
        return f"{self.name}, {self.memory_mb:,} MB{product}"


NO_GPU = Device(CPU, 0)
"""For processes that only describe a model or convert its weights."""


def find_devices(names: Sequence[str] = AUTO, environ: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """Return the devices that models may use.

    names: ``auto``, or names with or without their memory in MB (``cuda:0``, ``cuda:0=16000``).
    Raises SettingsError for a GPU that the machine does not have, or whose memory is unknown.
    """
    machine = {device.name: device for device in (*_gpus(environ), Device(CPU, machine_memory_mb()))}
    if tuple(names) == AUTO:
        return tuple(machine.values())
    return tuple(_select_device(*item.partition("=")[::2], machine, environ) for item in names)


def _select_device(name: str, memory_mb: str, machine: Mapping[str, Device], environ: Mapping[str, str]) -> Device:
    device = machine.get(name)
    if device is not None and memory_mb:
        return replace(device, memory_mb=int(memory_mb))
    if memory_mb:  # trust the setting: some containers lack nvidia-smi
        return Device(name, int(memory_mb), address=_address(int(name.partition(":")[2]), environ))
    if device is None:
        raise SettingsError(
            f"[worker] devices: this machine has no {name}, only {' and '.join(machine)}. "
            f'If nvidia-smi cannot list the GPU, write its memory in MB, such as "{name}=16000"'
        )
    return device


def _address(number: int, environ: Mapping[str, str]) -> str:
    """Return by which UUID or index CUDA identifies the GPU with this number."""
    visible = [part.strip() for part in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return visible[number] if number < len(visible) else str(number)


def candidates(model: ModelDescription, devices: Sequence[Device]) -> tuple[Device, ...]:
    """Return the devices that the model can run on, GPUs first.

    A GPU must have the memory that the model declares. On the CPU the declared memory is a limit only:
    a model that declares more than the machine has runs there alone.
    Raises DeviceUnavailable.
    """
    kind, need_mb = model.resources.device, model.resources.memory_mb
    offers = " and ".join(device.name for device in devices)
    gpus = [device for device in devices if device.is_gpu] if kind != CPU else []
    cpus = [device for device in devices if not device.is_gpu] if kind != "cuda" else []
    fitting = [device for device in gpus if device.memory_mb >= need_mb]
    if fitting or cpus:
        return (*fitting, *cpus)
    if gpus:
        largest = max(gpus, key=lambda device: device.memory_mb)
        raise DeviceUnavailable(
            f"{model.name} needs a GPU with {need_mb} MB; the largest here, {largest.name}, has {largest.memory_mb} MB"
        )
    need = "the CPU" if kind == CPU else "a GPU"
    raise DeviceUnavailable(f"{model.name} needs {need}; this machine offers only {offers}")


def machine_memory_mb() -> int:
    """Return the memory of this machine, or of this container."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CGROUP_LIMITS:
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(limits) >> 20


def gpu_memory_by_process() -> dict[int, int]:
    """Return process id -> MB on all GPUs together.

    Empty where nvidia-smi does not say, as in most containers, which hide the ids.
    """
    memory: dict[int, int] = {}
    for pid, size_mb in _smi("--query-compute-apps=pid,used_gpu_memory"):
        if pid.isdigit() and size_mb.isdigit():
            memory[int(pid)] = memory.get(int(pid), 0) + int(size_mb)
    return memory


def onnx_runs_on_gpus() -> bool:
    """Return whether onnxruntime in this interpreter, which runs ONNX networks, has a provider for GPUs."""
    import onnxruntime

    return not set(ON_A_GPU).isdisjoint(onnxruntime.get_available_providers())


def _gpus(environ: Mapping[str, str]) -> Iterator[Device]:
    """Yield the visible GPUs in the order of CUDA_VISIBLE_DEVICES."""
    rows = [row for row in _smi("--query-gpu=index,uuid,memory.total,name") if len(row) == 4 and row[2].isdigit()]
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        parts = [part.strip() for part in visible.split(",")]
        rows = [row for part in parts for row in rows if part and (part == row[0] or row[1].startswith(part))]
    for number, (_, uuid, memory_mb, product) in enumerate(rows):
        yield Device(f"cuda:{number}", int(memory_mb), product, uuid)


def _smi(query: str) -> list[list[str]]:
    """Return the rows that nvidia-smi prints; none without a driver or without an answer."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [[value.strip() for value in row] for row in csv.reader(output.splitlines())]
