"""Models that a test writes, and the contract run on them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.models.contract import Clause, ContractReport
from orchestrator.app.models.contract.bench import Bench
from orchestrator.app.models.contract.checking import examine
from orchestrator.app.models.contract.specimen import of_folder
from orchestrator.worker import Workers, discover

HEAD = """
import numpy as np
from orchestrator.sdk import *

class Subject:
    name, version = "subject", "1"
    empty = Empty.NEGATIVE
    intended = Intended(modality=("CT",))

    def predict(self, volume):
        return Result([Segment("Bone", self.marked(volume), codes["bone"])])

    def marked(self, volume):
        return volume.voxels > 300

@hookimpl
def register_models(register):
    register(Model())
"""

Examined = Callable[..., dict[str, Clause]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one folder of weights and descriptions to all: a plugin is described once."""
    return tmp_path_factory.mktemp("weights")


def report_of(source: str, folder: Path, weights: Path, images: Path | None = None) -> ContractReport:
    """Return the contract run of a model whose class ``Model`` has this source."""
    (folder / "subject.py").write_text(HEAD + textwrap.dedent(source))
    sources = discover([], [folder / "subject.py"], entry_points=False)
    with closing(Workers(sources, sandbox="required", weights=weights)) as workers:
        bench = Bench(workers, "subject")
        own = list(of_folder(images)) if images else []
        (folder / "work").mkdir()
        return ContractReport(bench.model, tuple(examine(bench, own, folder / "work")))


@pytest.fixture
def examined(tmp_path: Path, weights: Path) -> Examined:
    """Give a function that runs the contract on a model and returns its clauses by name, those of a folder's last."""

    def run(source: str, images: Path | None = None) -> dict[str, Clause]:
        return {clause.name: clause for clause in report_of(source, tmp_path, weights, images).clauses}

    return run
