"""Starts model processes from one thread; they write into one temporary folder."""

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
    """Starts model processes; ``close`` removes their files."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox: Sandbox = sandbox
        _remove_orphans()
        self._folder, self._lock = _new_folder()
        (self._folder / "sdk").mkdir()
        # only the SDK, for interpreters that must not see the packages of the host's interpreter
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
        """Start a process with the source's plugin; it sees no GPU but the device.

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
        """End the thread, which ends every process that it started, and remove the folder."""
        self._thread.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _new_folder() -> tuple[Path, int | None]:
    """Return a new folder and its lock; the folder gets its final name after it is locked."""
    folder = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
    lock = _lock(folder)
    return folder.rename(folder.with_name(folder.name.removeprefix("new-"))), lock


def _lock(folder: Path) -> int | None:
    """Lock the folder as long as this host lives; None if another host holds the lock or the folder is gone."""
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


def _remove_orphans() -> None:
    """Remove the folders of hosts that were killed, since models may have written image data there."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def cage_layers() -> frozenset[str]:
    """Return the layers of the cage that this machine supports: ``files``, ``network``, ``signals``, ``seccomp``."""
    launcher = Launcher("best")
    try:
        process = launcher.start(ModelSource(name="cage", origin="this machine"), memory_mb=1024)
        process.kill()
        return process.cage
    finally:
        launcher.close()
