"""A model's own virtual environment: made from the requirements of its model.toml, beside that file."""

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
"""Says from what the environment was made; written last, so that half an environment is none."""

ALWAYS = ("numpy>=1.26", "pluggy>=1.5")
"""What our part in the model's process imports; everything else is the model's own business."""

FOR_DECLARED = ("scipy>=1.13",)
"""What it imports besides where it prepares and decides itself, as a model.toml says."""

INSTALL_SECONDS = 3600.0


def needs_environment(source: ModelSource) -> bool:
    """Return whether the model asks for packages of its own."""
    return source.manifest is not None and bool(source.manifest.requirements)


def is_ready(source: ModelSource) -> bool:
    """Return whether the model can be started: it needs no environment, or has one of these very requirements."""
    if not needs_environment(source):
        return True
    try:
        made_of = json.loads((source.folders[0] / ENVIRONMENT / NOTE).read_text())
    except (OSError, ValueError):
        return False
    return source.python.exists() and made_of == _made_of(source)


def check_ready(source: ModelSource) -> None:
    """Return when the model can be started.

    Raises EnvironmentMissing.
    """
    if not is_ready(source):
        assert source.manifest is not None
        name = source.manifest.name
        raise EnvironmentMissing(f"the environment of {name} is not installed; run: orchestrator models install {name}")


def install(source: ModelSource, log: Callable[[str], None] = print) -> Path | None:
    """Return the model's environment, made now unless it is there; None where the model needs none.

    Packages come as wheels only: a source archive would run its code here, outside the model's cage.
    Raises EnvironmentMissing: no such Python, no way to the package index, versions that do not fit.
    """
    if not needs_environment(source):
        return None
    folder = source.folders[0] / ENVIRONMENT
    if not is_ready(source):
        assert source.manifest is not None
        log(f"making {folder}")
        _run([_interpreter(source), "-m", "venv", "--without-pip", "--clear", str(folder)], source)
        packages = _packages(source.manifest)
        log(f"installing {', '.join(packages)}")
        pip = [sys.executable, "-m", "pip", "--python", str(source.python), "--disable-pip-version-check", "--no-input"]
        _run([*pip, "install", "--quiet", "--only-binary", ":all:", *packages], source)
        (folder / NOTE).write_text(json.dumps(_made_of(source)))
    return folder


def _made_of(source: ModelSource) -> dict[str, object]:
    assert source.manifest is not None
    return {"python": source.manifest.python, "requirements": list(source.manifest.requirements)}


def _packages(manifest: Manifest) -> list[str]:
    """Return the requirements, with what our part needs unless they name it themselves."""
    from packaging.requirements import Requirement  # a twentieth of the core's import, and few models need it
    from packaging.utils import canonicalize_name

    ours = ALWAYS if manifest.runtime == "python" else (*ALWAYS, *FOR_DECLARED)
    named = {canonicalize_name(Requirement(text).name) for text in manifest.requirements}
    return [*(text for text in ours if Requirement(text).name not in named), *manifest.requirements]


def _interpreter(source: ModelSource) -> str:
    """Return the interpreter that the environment is made with.

    Raises EnvironmentMissing.
    """
    assert source.manifest is not None
    wanted = source.manifest.python
    if wanted is None:
        return sys.executable
    found = shutil.which(wanted) or shutil.which(source.folders[0] / wanted)
    if found is None:
        raise EnvironmentMissing(f"{source.manifest.name} asks for python = {wanted!r}, which is not on this machine")
    return found


def _run(command: Sequence[str], source: ModelSource) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EnvironmentMissing(f"{command[0]} could not be run: {fault}") from None
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        said = [line.removeprefix("ERROR: ") for line in lines if line.startswith(("ERROR", "Error"))] or lines[-1:]
        reason = said[-1] if said else "no reason given"
        raise EnvironmentMissing(f"the environment of {source.name} could not be made: {reason}")
