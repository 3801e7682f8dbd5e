"""Runs a notebook of the repository in a kernel of its own, with parameters of the test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
CELL_SECONDS = 240
NEEDED = ("ipykernel", "matplotlib", "nbclient")


@dataclass(frozen=True, slots=True)
class Executed:
    """A notebook that ran to its end: what it printed, and the folder that it wrote into."""

    printed: str
    folder: Path


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Executed]:
    """Give a function that runs a notebook in an empty folder; a cell that raises fails the test with its traceback."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra notebooks is not installed: {', '.join(missing)}")
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    def run(name: str, **parameters: Any) -> Executed:
        folder = tmp_path_factory.mktemp(name)
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        _set(notebook, parameters)
        client = NotebookClient(
            notebook,
            config=Config(KernelManager={"transport": "ipc", "ip": str(folder / "kernel")}),  # files, no ports
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=_environment(folder))
        return Executed(_printed(notebook), folder / f"{name}-output")

    return run


def _set(notebook: Any, parameters: dict[str, Any]) -> None:
    """Change the parameters as papermill does: behind those that the notebook's own cell gives."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    unknown = [name for name in parameters if f"{name} = " not in cell.source]
    assert not unknown, f"the notebook has no parameter {unknown}"
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of the kernel: none of the user's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    return kept | {"IPYTHONDIR": str(folder / ".ipython"), "MPLCONFIGDIR": str(folder / ".matplotlib")}


def _printed(notebook: Any) -> str:
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return "".join(output.text for output in outputs if output.output_type == "stream")
