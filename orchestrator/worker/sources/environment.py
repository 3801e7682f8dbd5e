"""Installs the virtual environment of a model from the requirements in its model.toml."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.domain.errors import EnvironmentMissing
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.sources.discovery import ENVIRONMENT, ModelSource

NOTE = "orchestrator.json"
"""Records the requirements of the environment; written last, so that an incomplete environment does not count."""

ALWAYS = ("numpy>=1.26", "pluggy>=1.5")
"""Packages that the host's code in the model process imports."""

FOR_NETWORKS = ("scipy>=1.13",)
"""Packages that it imports besides for models without Python code, such as TorchScript networks."""

INSTALL_SECONDS = 3600.0


def needs_environment(source: ModelSource) -> bool:
    """Return whether the model has requirements of its own."""
    return source.manifest is not None and bool(source.manifest.requirements)


def is_ready(source: ModelSource) -> bool:
    """Return whether the model can start: it needs no environment, or the installed one has the same requirements."""
    if not needs_environment(source):
        return True
    try:
        record = json.loads((source.folders[0] / ENVIRONMENT / NOTE).read_text())
    except (OSError, ValueError):
        return False
    return source.python.exists() and record == _requirements(source)


def check_ready(source: ModelSource) -> None:
    """Return if the model can start.

    Raises EnvironmentMissing if its environment must be installed first.
    """
    if not is_ready(source):
        assert source.manifest is not None
        name = source.manifest.name
        raise EnvironmentMissing(f"the environment of {name} is not installed; run: orchestrator models install {name}")


def install(source: ModelSource, log: Callable[[str], None] = print) -> Path | None:
    """Install the model's environment unless it exists, and return its folder; None where the model needs none.

    Only wheels are installed: a source archive would run its code here, outside the cage.
    Raises EnvironmentMissing: Python not found, package index not reachable, versions that conflict.
    """
    if not needs_environment(source):
        return None
    folder = source.folders[0] / ENVIRONMENT
    if not is_ready(source):
        assert source.manifest is not None
        log(f"creating {folder}")
        _run([_interpreter(source), "-m", "venv", "--without-pip", "--clear", str(folder)], source)
        packages = _packages(source.manifest)
        log(f"installing {', '.join(packages)}")
        pip = [sys.executable, "-m", "pip", "--python", str(source.python), "--disable-pip-version-check", "--no-input"]
        _run([*pip, "install", "--quiet", "--only-binary", ":all:", *packages], source)
        (folder / NOTE).write_text(json.dumps(_requirements(source)))
    return folder


def _requirements(source: ModelSource) -> dict[str, object]:
    assert source.manifest is not None
    return {"python": source.manifest.python, "requirements": list(source.manifest.requirements)}


def _packages(manifest: Manifest) -> list[str]:
    """Return the requirements, and those of the host's code that they do not name."""
    from packaging.requirements import Requirement  # imported late: few models need it
    from packaging.utils import canonicalize_name

    packages = ALWAYS if manifest.runtime == "python" else (*ALWAYS, *FOR_NETWORKS)
    names = {canonicalize_name(Requirement(text).name) for text in manifest.requirements}
    return [*(text for text in packages if Requirement(text).name not in names), *manifest.requirements]


def _interpreter(source: ModelSource) -> str:
    """Return the interpreter for the environment.

    Raises EnvironmentMissing.
    """
    assert source.manifest is not None
    name = source.manifest.python
    if name is None:
        return sys.executable
    path = shutil.which(name) or shutil.which(source.folders[0] / name)
    if path is None:
        raise EnvironmentMissing(f"{source.manifest.name} needs python = {name!r}; install that Python on this machine")
    return path


def _run(command: Sequence[str], source: ModelSource) -> None:
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EnvironmentMissing(f"{command[0]} failed to run: {fault}") from None
    if process.returncode != 0:
        lines = [line for line in (process.stderr + process.stdout).splitlines() if line.strip()]
        reasons = [line.removeprefix("ERROR: ") for line in lines if line.startswith(("ERROR", "Error"))] or lines[-1:]
        reason = reasons[-1] if reasons else "no reason given"
        raise EnvironmentMissing(f"the environment of {source.name} could not be installed: {reason}")
