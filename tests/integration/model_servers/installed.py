"""Model servers from PyPI, each in an environment of its own that later runs find again."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

PLACE = Path(__file__).parents[3] / ".tools"
INSTALL_SECONDS = 600


def environment(name: str, *requirements: str, options: Sequence[str] = ()) -> Path:
    """Return the folder of an environment with these packages, made now where it is not there yet.

    Whoever comes while another test process makes it waits for that.
    """
    made_of = hashlib.sha256(repr((sys.version, requirements, tuple(options))).encode()).hexdigest()[:12]
    folder = PLACE / f"{name}-{made_of}"
    PLACE.mkdir(exist_ok=True)
    with (PLACE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            venv.create(folder, with_pip=False, clear=True)
            _install(folder, [*options, *requirements])
            (folder / "complete").touch()
    return folder


def _install(folder: Path, wanted: Sequence[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--only-binary", ":all:", *wanted],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
