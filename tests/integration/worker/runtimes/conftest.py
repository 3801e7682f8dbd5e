"""Models in real caged processes, and series read from real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.dicom import Grid, fill, gather, plan, read_instance
from orchestrator.domain.model import Accepts
from orchestrator.domain.ports import Prediction
from orchestrator.worker import Workers, discover


class Host:
    """The worker side of a host with some model folders."""

    def __init__(self, folders: list[Path], work: Path) -> None:
        self.work = work
        self.workers = Workers(discover(folders, entry_points=False), sandbox="required", weights=work / "weights")

    @property
    def errors(self) -> list[str]:
        """Why models are refused, one sentence each, empty where they are not."""
        return [listing.error for listing in self.workers.listing()]

    def predict(self, model: str, paths: list[Path]) -> tuple[Grid, Prediction]:
        """Return what the model says of the images, and their grid."""
        (grid,) = plan(gather([read_instance(path) for path in paths]), Accepts())
        request = self.work / f"{model}-{paths[0].parent.name}"
        volume = fill(grid, self.workers.allocate(request, grid.shape, grid.dtype))
        return grid, self.workers.predict(model, volume, request)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Give a function that makes a Host of model folders and closes it after the test."""
    made: list[Host] = []

    def make(*folders: Path) -> Host:
        made.append(Host(list(folders), tmp_path / f"work-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.workers.close()
