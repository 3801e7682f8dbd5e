"""The place that model processes are started from: one thread, one folder for all they write."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.worker.devices.devices import NO_GPU, Device
from orchestrator.worker.process.process import PACKAGE, ModelProcess, Sandbox, Start
from orchestrator.worker.sources.discovery import ModelSource

PREFIX = "orchestrator-workers-"


class Launcher:
    """Starts model processes; ``close`` removes what they left behind."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox: Sandbox = sandbox
        _remove_left_over()
        self._folder, self._lock = _new_folder()
        (self._folder / "sdk").mkdir()
        # the SDK alone, for interpreters that must not see the packages of the host's
        (self._folder / "sdk" / PACKAGE.name).symlink_to(PACKAGE)
        self._thread = ThreadPoolExecutor(1, "model launcher")

    def start(
        self,
        source: ModelSource,
        memory_mb: int,
        *,
        device: Device = NO_GPU,
        read: Sequence[Path] = (),
        write: Sequence[Path] = (),
    ) -> ModelProcess:
        """Return a process that holds the source's plugin and sees of all GPUs the device at most.

        Raises SandboxUnavailable and WorkerCrashed.
        """
        start = Start(
            name=source.name,
            python=source.python,
            plugin=source.plugin(),
            sdk=self._folder / "sdk",
            scratch=Path(tempfile.mkdtemp(prefix=f"{source.name}-", dir=self._folder)),
            read=(*source.folders, *device.read, *read),
            write=write,
            sandbox=self.sandbox,
            memory_mb=memory_mb + device.host_mb,
            devices=device.files,
            environment=device.environment,
        )
        return ModelProcess(start, self._thread)

    def close(self) -> None:
        """End the thread, and with it every process that it started."""
        self._thread.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _new_folder() -> tuple[Path, int | None]:
    """Return a new folder and its lock; it has its name only once it is locked."""
    unnamed = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
    lock = _locked(unnamed)
    return unnamed.rename(unnamed.with_name(unnamed.name.removeprefix("new-"))), lock


def _locked(folder: Path) -> int | None:
    """Return the folder's lock, held while its host lives; None where another holds it or it is gone."""
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _remove_left_over() -> None:
    """Remove the folders of hosts that were killed: models may have written what they made of images there."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def cage_layers() -> frozenset[str]:
    """Return the layers of the cage that this machine can give; ``files``, ``network``, ``signals`` and ``seccomp``."""
    launcher = Launcher("best")
    try:
        process = launcher.start(ModelSource(name="cage", origin="this machine"), memory_mb=1024)
        process.kill()
        return process.cage
    finally:
        launcher.close()
