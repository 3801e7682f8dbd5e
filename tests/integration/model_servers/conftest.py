"""Remote models in real model processes, asked of real servers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.backoff import Backoff
from orchestrator.domain.ports import Prediction
from orchestrator.domain.volume import Volume
from orchestrator.model_servers import client
from orchestrator.model_servers.client import InferenceServers
from orchestrator.model_servers.egress import Egress, Exit
from orchestrator.worker import Workers, discover
from tests.integration.model_servers.mlserver import Server, mlserver

MANIFEST = """contract = 1
name = "subject"
version = "1"
runtime = "remote"
empty = "negative"
{rest}
[remote]
url = "{url}"
model = "{model}"
{remote}
"""
SEGMENT = 'segment = [{ label = "Bone", type = "bone" }]'


class Desk:
    """A host's worker side with one remote model, and what it wrote into its audit trail."""

    def __init__(self, folder: Path, exits: Sequence[Exit], **manifest: str) -> None:
        self.folder, self.recorded = folder, list[tuple[str, str]]()
        (folder / "subject").mkdir(parents=True)
        text = MANIFEST.format_map({"rest": SEGMENT, "remote": "", **manifest})
        (folder / "subject" / "model.toml").write_text(text)
        egress = Egress(exits, lambda subject, line: self.recorded.append((subject, line)))
        self.workers = Workers(
            discover([folder / "subject"], entry_points=False),
            sandbox="required",
            weights=folder / "weights",
            servers=InferenceServers(egress, lambda part: part.parent.name),
        )

    def predict(self, voxels: npt.NDArray[np.int16]) -> Prediction:
        """Return what the model says about CT voxels (slice, row, column)."""
        return show(self.workers, "subject", voxels, self.folder / "the-job" / "part-0")


def show(workers: Workers, model: str, voxels: npt.NDArray[np.int16], part: Path) -> Prediction:
    """Return what the model says about CT voxels (slice, row, column); they are handed over in the folder."""
    array = workers.allocate(part, voxels.shape, voxels.dtype)
    array[:] = voxels
    return workers.predict(model, Volume(array, np.eye(4), unit="[hnsf'U]", modality="CT"), part)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Give a function that opens a Desk for a model of a server, which its settings allow."""
    opened: list[Desk] = []

    def open_desk(url: str, model: str = "bone", **manifest: Any) -> Desk:
        exits = manifest.pop("exits", [Exit(name="server", url=url, purpose="a test")])
        told = {key: textwrap.dedent(text) for key, text in manifest.items()}
        opened.append(Desk(tmp_path / f"desk-{len(opened)}", exits, url=url, model=model, **told))
        return opened[-1]

    yield open_desk
    for each in opened:
        each.workers.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real MLServer with all models that no test kills."""
    with mlserver(tmp_path_factory.mktemp("mlserver")) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between the attempts at a server that is not there."""
    monkeypatch.setattr(client, "RETRIES", Backoff(0.01, 0.01))


@pytest.fixture
def image() -> npt.NDArray[np.int16]:
    """A block of bone in soft tissue."""
    voxels = np.random.default_rng(7).integers(-100, 200, (6, 18, 20)).astype(np.int16)
    voxels[2:5, 4:12, 6:15] = 700
    return voxels
