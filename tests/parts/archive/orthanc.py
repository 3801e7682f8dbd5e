"""Debian's Orthanc with its DICOMweb plugin as a part of a test, on free loopback ports, ended when the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from orchestrator.app.demo.orthanc_server import OrthancServer, find_orthanc
from tests.parts.archive.dcmtk import free_port

STABLE_SECONDS = 1
_OPTIONS = {"StableAge": STABLE_SECONDS, "DicomAlwaysAllowStore": True}


@dataclass(slots=True)
class Orthanc(OrthancServer):
    """A running Orthanc that tests ask, too."""

    @property
    def root(self) -> str:
        return self.http

    def ask(self, method: str, path: str, **parameters: object) -> httpx.Response:
        """Return what its REST API answers, success or not."""
        user = httpx.BasicAuth(*self.user.split(":")) if self.user else None
        return httpx.request(method, f"{self.root}{path}", auth=user, trust_env=False, timeout=30, **parameters)  # type: ignore[arg-type]

    def put(self, paths: list[Path]) -> None:
        """Put files in; RuntimeError where it does not keep one."""
        for path in paths:
            answer = self.ask("POST", "/instances", content=path.read_bytes())
            if answer.status_code != 200:
                raise RuntimeError(f"Orthanc does not keep {path}: {answer.text}")

    def instances(self) -> int:
        """Return how many instances it holds."""
        return int(self.ask("GET", "/statistics").json()["CountInstances"])

    def stop(self, end_seconds: float = 0.0) -> None:
        """Kill it, which is quicker than to ask; what it holds stays."""
        OrthancServer.stop(self, end_seconds)


@contextmanager
def orthanc(folder: Path, *, user: str = "", **options: object) -> Iterator[Orthanc]:
    """Run an Orthanc that keeps what it gets below the folder; ``options`` are keys of its configuration."""
    if find_orthanc() is None:
        pytest.skip("Orthanc is not on this machine (apt-get install orthanc orthanc-dicomweb)")
    made = Orthanc(folder, dicom_port=free_port(), options={**_OPTIONS, **options}, user=user)
    try:
        made.start()
        yield made
    finally:
        made.stop()
