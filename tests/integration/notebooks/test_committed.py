"""What is in the repository: notebooks without results, each listed in the index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def test_it_is_committed_without_results(path: Path) -> None:
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_it_runs_in_any_python_kernel(path: Path) -> None:
    kernel = json.loads(path.read_text())["metadata"]["kernelspec"]
    assert kernel == {"display_name": "Python 3", "language": "python", "name": "python3"}


def test_it_is_in_the_index(path: Path) -> None:
    assert f"]({path.name})" in (NOTEBOOKS / "README.md").read_text()


def test_it_has_a_test_of_its_own(path: Path) -> None:
    assert (Path(__file__).parent / f"test_{path.stem.replace('-', '_')}.py").is_file()
