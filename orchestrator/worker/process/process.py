"""One model process: starts it in its cage, sends requests, and kills it with all its children."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.domain.errors import (
    OrchestratorError,
    SandboxUnavailable,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerTimeout,
)
from orchestrator.worker.protocol.channel import Channel, ChannelClosed, ChannelGarbled

Sandbox = Literal["required", "best", "off"]

Supply = Callable[[Mapping[str, Any], Sequence[int], float], tuple[Mapping[str, Any], int]]
"""Takes a request of the process, its open files and the seconds left; returns the answer and a file with it."""

CAGE = Path(__file__).with_name("cage.py")
PACKAGE = CAGE.parents[2]
START_SECONDS = 60.0
DYING_SECONDS = 1.0
OUTPUT_LIMIT_BYTES = 64 * 1024
PASSED_VARIABLES = ("LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start a process: the plugin to load, and the files and devices that it may use.

    sdk: a folder that contains this package only.
    read: files and folders that the process may read, besides its interpreter.
    scratch, write: folders that the process may write: its TMPDIR, and the target of a converter.
    devices, environment: device files that it may use, and variables that select its GPU.
    """

    name: str
    python: Path
    plugin: Mapping[str, Any]
    sdk: Path
    scratch: Path
    read: Sequence[Path]
    write: Sequence[Path] = ()
    sandbox: Sandbox
    memory_mb: int
    devices: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class ModelProcess:
    """A process with one plugin, which answers one request at a time."""

    def __init__(self, start: Start, launcher: Executor) -> None:
        """Start the process and wait until it reports from inside its cage.

        launcher: one thread that outlives the process. The kernel kills a child when the *thread* that started it
        ends (PR_SET_PDEATHSIG), and the thread of a request ends long before the model.
        Raises SandboxUnavailable and WorkerCrashed.
        """
        self._name = start.name
        self._ended_by_host = False
        self._reaping = threading.Lock()
        host_end, model_end = socket.socketpair()
        host_end.settimeout(START_SECONDS)
        with model_end:
            self._process = launcher.submit(_launch, start, model_end.fileno()).result()
        self._pidfd = os.pidfd_open(self._process.pid)
        self._channel = Channel(host_end)
        self._output = bytearray()
        self._drainer = threading.Thread(target=self._drain, name=f"output of {start.name}", daemon=True)
        self._drainer.start()
        self.cage = self._greet(start.plugin)

    def _greet(self, plugin: Mapping[str, Any]) -> frozenset[str]:
        greeting, _ = self._receive(START_SECONDS)
        if "refused" in greeting:
            self.kill()
            raise SandboxUnavailable(
                f'this machine cannot provide sandbox = "required"; missing: {greeting["refused"]}. '
                'Install libseccomp2 on Linux 5.13 or later (Landlock), or set sandbox = "best" to use what there is.'
            )
        try:
            layers = frozenset(map(str, greeting["hello"]["cage"]))
            self._channel.send({"plugin": dict(plugin)})
        except (ChannelClosed, KeyError, TypeError):
            raise self._end_reason() from None
        return layers

    @property
    def output(self) -> str:
        """The last 64 KiB that the process printed; for the author of the model, never part of a job's reason."""
        return self._output.decode(errors="replace")

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def peak_memory_mb(self) -> float | None:
        """Peak resident memory (VmHWM of proc(5)), mapped images included; None after the process has ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes[0]) / 1024 if kilobytes else None

    def alive(self, seconds: float = 0.0) -> bool:
        """Return whether the process still runs after this time; only ``kill`` reaps it."""
        if self._pidfd < 0:
            return False
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        return not end.poll(seconds * 1000)

    def ask(
        self,
        request: Mapping[str, Any],
        seconds: float,
        files: Sequence[int] = (),
        supply: Supply | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the answer.

        supply: answers requests that the process makes meanwhile; without it such a request counts as the answer.
        Raises WorkerTimeout, WorkerCrashed, WorkerOutOfMemory and errors of ``supply``; the process has then ended.
        """
        deadline = time.monotonic() + seconds
        self._send(request, files)
        while True:
            answer, answer_files = self._receive(seconds, deadline)
            try:
                if supply is None or "need" not in answer:
                    return answer
                self._supply(*supply(answer, answer_files, deadline - time.monotonic()))
            except OrchestratorError:
                self.kill()
                raise
            finally:
                for file in answer_files:
                    os.close(file)

    def _supply(self, answer: Mapping[str, Any], file: int) -> None:
        try:
            self._send(answer, [file])
        finally:
            os.close(file)

    def _send(self, message: Mapping[str, Any], files: Sequence[int]) -> None:
        try:
            self._channel.send(message, files)
        except ChannelClosed:
            raise self._end_reason() from None

    def _receive(self, seconds: float, deadline: float | None = None) -> tuple[dict[str, Any], list[int]]:
        left = seconds if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._channel.receive(left, self._pidfd)
        except TimeoutError:
            self.kill()
            raise WorkerTimeout(f"{self._name} did not answer within {seconds:g} s and was killed") from None
        except ChannelGarbled as fault:
            self.kill()
            raise WorkerCrashed(f"{self._name} sent an invalid message: {fault}") from None
        except ChannelClosed:
            raise self._end_reason() from None

    def _end_reason(self) -> WorkerCrashed | WorkerOutOfMemory:
        """Kill the process and return why it ended: a SIGKILL that the host did not send means lack of memory."""
        still_running = self.alive(DYING_SECONDS)
        self.kill()
        if still_running:
            return WorkerCrashed(f"{self._name} closed its connection to the host")
        code = self._process.returncode
        if self._ended_by_host:
            return WorkerCrashed(f"the host ended the process of {self._name}")
        if code == -signal.SIGKILL or (code < 0 and b"bad_alloc" in self._output):
            return WorkerOutOfMemory(f"{self._name} ran out of memory and was killed ({_signal(code)})")
        how = f"killed by {_signal(code)}" if code < 0 else f"exit status {code}"
        return WorkerCrashed(f"the process of {self._name} ended unexpectedly: {how}")

    def stop(self) -> None:
        """End the process from any thread; threads that wait for it get WorkerCrashed. Call ``kill`` afterwards."""
        with self._reaping:
            if self._pidfd >= 0:
                self._ended_by_host = True
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and its children, which cannot leave its process group."""
        with self._reaping:
            if self._pidfd < 0:
                return
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._pidfd)
            self._pidfd = -1
        self._channel.close()
        self._drainer.join(DYING_SECONDS)

    def _drain(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), 1 << 16):
                self._output += piece
                del self._output[:-OUTPUT_LIMIT_BYTES]


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _launch(start: Start, channel: int) -> subprocess.Popen[bytes]:
    """Start the cage by its path, in its own process group, with its output in one pipe."""
    spec = {
        "host": os.getpid(),
        "channel": channel,
        "sandbox": start.sandbox,
        "seccomp": _pyseccomp(),
        "memory_mb": start.memory_mb,
        "read": [str(path) for path in (*start.read, start.sdk, PACKAGE)],
        "write": [str(path) for path in (start.scratch, *start.write)],
        "devices": [str(path) for path in start.devices],
        "sys_path": [str(start.sdk)],
    }
    return subprocess.Popen(
        [start.python, "-I", "-S", "-B", CAGE, json.dumps(spec)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[channel],
        env={**_environment(start.scratch), **start.environment},
        cwd=start.scratch,
        start_new_session=True,
    )


def _pyseccomp() -> str | None:
    spec = importlib.util.find_spec("pyseccomp")
    return None if spec is None else spec.origin


def _environment(scratch: Path) -> dict[str, str]:
    """Return a new environment without the host's secrets. USER is set since the cage hides /etc/passwd."""
    common = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    own = {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": "model"}
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **own, **common}
