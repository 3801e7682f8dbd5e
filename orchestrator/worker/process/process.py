"""One model process: started in its cage, asked, and killed with all that it started."""

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
"""Takes a need of the process, the open files with it and the seconds left; returns the answer and a file for it."""

CAGE = Path(__file__).with_name("cage.py")
PACKAGE = CAGE.parents[2]
START_SECONDS = 60.0
DYING_SECONDS = 1.0
KEPT_OUTPUT_BYTES = 64 * 1024
PASSED_ON = ("LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start a process: the plugin to load and what it may use.

    sdk: a folder that holds the package of ours and nothing else.
    read: files and folders it may read besides its interpreter.
    scratch, write: the folders it may write; its TMPDIR and what a converter makes.
    devices, environment: device files it may use, and variables that say which GPU it sees.
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
    """A process that holds one plugin; one request at a time."""

    def __init__(self, start: Start, launcher: Executor) -> None:
        """Return when the process has greeted from inside its cage.

        launcher: runs in one thread that outlives the process. The kernel kills a child when the *thread*
        that started it ends (PR_SET_PDEATHSIG), and the thread of a request ends long before its model.
        Raises SandboxUnavailable and WorkerCrashed.
        """
        self._name = start.name
        self._ended_by_host = False
        self._reaping = threading.Lock()
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        with theirs:
            self._process = launcher.submit(_launch, start, theirs.fileno()).result()
        self._pidfd = os.pidfd_open(self._process.pid)
        self._channel = Channel(ours)
        self._output = bytearray()
        self._draining = threading.Thread(target=self._drain, name=f"output of {start.name}", daemon=True)
        self._draining.start()
        self.cage = self._greeting(start.plugin)

    def _greeting(self, plugin: Mapping[str, Any]) -> frozenset[str]:
        greeting, _ = self._receive(START_SECONDS)
        if "refused" in greeting:
            self.kill()
            raise SandboxUnavailable(
                f'sandbox = "required" asks for a cage that this machine cannot give; missing: {greeting["refused"]}. '
                'It needs Landlock (Linux 5.13 or later) and libseccomp2; sandbox = "best" takes what there is.'
            )
        try:
            layers = frozenset(map(str, greeting["hello"]["cage"]))
            self._channel.send({"plugin": dict(plugin)})
        except (ChannelClosed, KeyError, TypeError):
            raise self._ended() from None
        return layers

    @property
    def output(self) -> str:
        """The last 64 KiB of what the process printed; for the model's author, not for a job's reason."""
        return self._output.decode(errors="replace")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def peak_memory_mb(self) -> float | None:
        """The most memory that was resident at once (VmHWM of proc(5)), mapped images included; None once it ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes[0]) / 1024 if kilobytes else None

    def alive(self, seconds: float = 0.0) -> bool:
        """Whether the process still runs after so many seconds; it is not reaped before ``kill``."""
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
        """Return the answer to a request.

        supply: gives the process what it needs in between; without it a need is an answer like any other.
        Raises WorkerTimeout, WorkerCrashed, WorkerOutOfMemory and what ``supply`` raises; the process is gone then.
        """
        deadline = time.monotonic() + seconds
        self._send(request, files)
        while True:
            answer, received = self._receive(seconds, deadline)
            try:
                if supply is None or "need" not in answer:
                    return answer
                self._supply(*supply(answer, received, deadline - time.monotonic()))
            except OrchestratorError:
                self.kill()
                raise
            finally:
                for file in received:
                    os.close(file)

    def _supply(self, told: Mapping[str, Any], file: int) -> None:
        try:
            self._send(told, [file])
        finally:
            os.close(file)

    def _send(self, message: Mapping[str, Any], files: Sequence[int]) -> None:
        try:
            self._channel.send(message, files)
        except ChannelClosed:
            raise self._ended() from None

    def _receive(self, seconds: float, deadline: float | None = None) -> tuple[dict[str, Any], list[int]]:
        left = seconds if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._channel.receive(left, self._pidfd)
        except TimeoutError:
            self.kill()
            raise WorkerTimeout(f"{self._name} did not answer within {seconds:g} s and was killed") from None
        except ChannelGarbled as fault:
            self.kill()
            raise WorkerCrashed(f"{self._name} broke the protocol: {fault}") from None
        except ChannelClosed:
            raise self._ended() from None

    def _ended(self) -> WorkerCrashed | WorkerOutOfMemory:
        """Return what its death means: SIGKILL that was not ours is the kernel's answer to a lack of memory."""
        runs_on = self.alive(DYING_SECONDS)
        self.kill()
        if runs_on:
            return WorkerCrashed(f"{self._name} closed its channel to the host")
        code = self._process.returncode
        if self._ended_by_host:
            return WorkerCrashed(f"the host ended the process of {self._name}")
        if code == -signal.SIGKILL or (code < 0 and b"bad_alloc" in self._output):
            return WorkerOutOfMemory(f"{self._name} was killed ({_signal(code)}): it took more memory than there is")
        how = f"killed by {_signal(code)}" if code < 0 else f"exit status {code}"
        return WorkerCrashed(f"the process of {self._name} died: {how}")

    def stop(self) -> None:
        """Let the process end, from whatever thread; who asked it something is told so. ``kill`` has to follow."""
        with self._reaping:
            if self._pidfd >= 0:
                self._ended_by_host = True
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and all that it started; they cannot leave its process group."""
        with self._reaping:
            if self._pidfd < 0:
                return
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._pidfd)
            self._pidfd = -1
        self._channel.close()
        self._draining.join(DYING_SECONDS)

    def _drain(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), 1 << 16):
                self._output += piece
                del self._output[:-KEPT_OUTPUT_BYTES]


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _launch(start: Start, channel: int) -> subprocess.Popen[bytes]:
    """Start the cage by its path, in a process group of its own, its output in one pipe to us."""
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
    """Return a clean environment: the host's holds secrets. USER, for the cage hides the file that knows it."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own = {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": "model"}
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **own, **passed}
