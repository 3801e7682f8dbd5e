"""The real weights, pulled as a user pulls them, and the sample series of the demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.app.demo.samples import write_samples
from orchestrator.config import load_settings
from orchestrator.worker import Workers, discover, pull

SHIPPED = ("brain-mask", "burned-in-text")


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder that ``orchestrator models pull`` and the demo use: pulled once on a machine."""
    return load_settings(None, {}).models.weights


@pytest.fixture(scope="session")
def workers(weights: Path) -> Iterator[Workers]:
    """The two models in their cages, weights in place."""
    sources = [source for source in discover([]) if source.name in SHIPPED]
    started = Workers(sources, sandbox="best", weights=weights)
    try:
        for name in SHIPPED:
            pull(started.catalogue_entry(name), weights)
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's sample series."""
    return write_samples(tmp_path_factory.mktemp("samples")).folder
