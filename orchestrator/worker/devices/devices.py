"""The places that models run on: the CPU and the GPUs of this machine, each with its memory."""

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
"""Every GPU that is found, and the CPU."""

SMI_SECONDS = 20.0  # without the persistence daemon the driver starts anew for each call
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Makes CUDA count the GPUs as nvidia-smi does; its own order is by speed."""

CUDA_HOST_MB = 8192
"""A bound for CUDA's context, its libraries' data and pinned buffers: generous, since the GPU is what is scarce."""

GPU_FILES = ("/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/module", "/sys/devices")
"""What the CUDA driver reads when it starts, besides what every process may read."""


@dataclass(frozen=True, slots=True)
class Device:
    """A place to run on: ``cpu`` or ``cuda:N``, N counting those that are visible to the host.

    address: what CUDA knows a GPU by, its UUID or its index.
    product: for people.
    """

    name: str
    memory_mb: int
    product: str = ""
    address: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether models reach it through CUDA."""
        return self.name != CPU

    @property
    def inside(self) -> str:
        """The name that a model is told: its process sees one GPU at most, which is then the first."""
        return "cuda:0" if self.is_gpu else CPU

    @property
    def environment(self) -> dict[str, str]:
        """What its process gets to see of all GPUs: this one, or none."""
        return {"CUDA_VISIBLE_DEVICES": self.address, **PCI_ORDER}

    @property
    def host_mb(self) -> int:
        """The memory of the machine that CUDA itself takes, besides what the model declares."""
        return CUDA_HOST_MB if self.is_gpu else 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The device files that its process may use."""
        return tuple(sorted(Path("/dev").glob("nvidia*"))) if self.is_gpu else ()

    @property
    def read(self) -> tuple[Path, ...]:
        """What its process may read besides what every process may."""
        return tuple(map(Path, GPU_FILES)) if self.is_gpu else ()

    def __str__(self) -> str:
        product = f" ({self.product})" if self.product else ""
        return f"{self.name}, {self.memory_mb:,} MB{product}"


NO_GPU = Device(CPU, 0)
"""For processes that only describe a model or convert its weights."""


def offered(wanted: Sequence[str] = AUTO, environ: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """Return the devices that models may use.

    wanted: ``auto``, or names with or without their memory in MB (``cuda:0``, ``cuda:0=16000``).
    Raises SettingsError for a GPU that is not there, or whose memory cannot be known.
    """
    found = {device.name: device for device in (*_gpus(environ), Device(CPU, machine_memory_mb()))}
    if tuple(wanted) == AUTO:
        return tuple(found.values())
    return tuple(_declared(*item.partition("=")[::2], found, environ) for item in wanted)


def _declared(name: str, memory_mb: str, found: Mapping[str, Device], environ: Mapping[str, str]) -> Device:
    known = found.get(name)
    if known is not None and memory_mb:
        return replace(known, memory_mb=int(memory_mb))
    if memory_mb:  # believed though nothing was found: not every container has nvidia-smi
        return Device(name, int(memory_mb), address=_address(int(name.partition(":")[2]), environ))
    if known is None:
        raise SettingsError(
            f"[worker] devices names {name}, and this machine shows {' and '.join(found)}; nvidia-smi lists GPUs, "
            f'and a GPU that it cannot list is declared with its memory in MB, as in "{name}=16000"'
        )
    return known


def _address(number: int, environ: Mapping[str, str]) -> str:
    """Return what CUDA knows the GPU by that the host sees at this place."""
    visible = [part.strip() for part in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return visible[number] if number < len(visible) else str(number)


def candidates(model: ModelDescription, devices: Sequence[Device]) -> tuple[Device, ...]:
    """Return the devices that the model can run on; where it takes any, GPUs come first.

    On a GPU it needs the memory that it declares. On the CPU what it declares is its limit: a model that
    may take more than the machine has runs there alone.
    Raises DeviceUnavailable, in one sentence.
    """
    wanted, need_mb = model.resources.device, model.resources.memory_mb
    offers = " and ".join(device.name for device in devices)
    gpus = [device for device in devices if device.is_gpu] if wanted != CPU else []
    cpus = [device for device in devices if not device.is_gpu] if wanted != "cuda" else []
    fitting = [device for device in gpus if device.memory_mb >= need_mb]
    if fitting or cpus:
        return (*fitting, *cpus)
    if gpus:
        largest = max(gpus, key=lambda device: device.memory_mb)
        raise DeviceUnavailable(
            f"{model.name} needs {need_mb} MB of a GPU, and the largest, {largest.name}, has {largest.memory_mb} MB"
        )
    kind = "the CPU" if wanted == CPU else "a GPU"
    raise DeviceUnavailable(f"{model.name} needs {kind}, and this machine offers {offers}")


def machine_memory_mb() -> int:
    """Return the memory of this machine, or of the container that it is."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CGROUP_LIMITS:
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # none there, or "max"
            continue
    return min(limits) >> 20


def gpu_memory_by_process() -> dict[int, int]:
    """Return the MB that each process holds on all GPUs together, by its id.

    Empty where nvidia-smi cannot tell, as inside most containers, which hide the ids.
    """
    held: dict[int, int] = {}
    for pid, used in _smi("--query-compute-apps=pid,used_gpu_memory"):
        if pid.isdigit() and used.isdigit():
            held[int(pid)] = held.get(int(pid), 0) + int(used)
    return held


def onnx_runs_on_gpus() -> bool:
    """Return whether the onnxruntime of this interpreter, which runs bare networks, has a provider for GPUs."""
    import onnxruntime

    return not set(ON_A_GPU).isdisjoint(onnxruntime.get_available_providers())


def _gpus(environ: Mapping[str, str]) -> Iterator[Device]:
    """Yield the visible GPUs in the order in which CUDA_VISIBLE_DEVICES names them."""
    rows = [row for row in _smi("--query-gpu=index,uuid,memory.total,name") if len(row) == 4 and row[2].isdigit()]
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        named = [part.strip() for part in visible.split(",")]
        rows = [row for part in named for row in rows if part and (part == row[0] or row[1].startswith(part))]
    for number, (_, uuid, memory_mb, product) in enumerate(rows):
        yield Device(f"cuda:{number}", int(memory_mb), product, uuid)


def _smi(query: str) -> list[list[str]]:
    """Return the rows of nvidia-smi's answer; none where there is no driver or it does not answer."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [[value.strip() for value in row] for row in csv.reader(said.splitlines())]
