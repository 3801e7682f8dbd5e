"""Debian's Orthanc with its DICOMweb plugin as a part of a test, on free loopback ports, ended when the test ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.parts.archive.dcmtk import ENVIRONMENT, free_port

PLUGINS = Path("/usr/share/orthanc/plugins")
STABLE_SECONDS = 1
_PATIENCE_SECONDS = 30.0


@dataclass(slots=True)
class Orthanc:
    """A running Orthanc; both of its ports stay the same when it is started again.

    ``user`` is ``name:password`` where it asks for one.
    """

    folder: Path
    http_port: int
    dicom_port: int
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, object] | None = None
    user: str = ""

    @property
    def url(self) -> str:
        """Return the archive's URL in the settings."""
        return f"orthanc+{self.root}"

    @property
    def dicomweb_url(self) -> str:
        """Return the URL in the settings of the same archive by its DICOMweb plugin."""
        return f"dicomweb+{self.root}/dicom-web"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

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

    def start(self) -> None:
        """Start it, with what it held when it was stopped."""
        program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            import pytest

            pytest.skip("Orthanc is not on this machine (apt-get install orthanc orthanc-dicomweb)")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configured()))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, configuration], env=ENVIRONMENT, stdout=log, stderr=log)
        self._wait()

    def stop(self) -> None:
        """Kill it, which is quicker than to ask; what it holds stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _configured(self) -> dict[str, object]:
        name, _, password = self.user.partition(":")
        return {
            "Name": "test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": bool(self.user),
            "RegisteredUsers": {name: password} if self.user else {},
            "StableAge": STABLE_SECONDS,
            "DicomAlwaysAllowStore": True,
            "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
            **(self.options or {}),
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"Orthanc ended at once; its log is {self.folder / 'log'}")
            try:
                self.ask("GET", "/system")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"Orthanc does not answer; its log is {self.folder / 'log'}")


@contextmanager
def orthanc(folder: Path, *, user: str = "", **options: object) -> Iterator[Orthanc]:
    """Run an Orthanc that keeps what it gets below the folder; ``options`` are keys of its configuration."""
    made = Orthanc(folder, free_port(), free_port(), options=options, user=user)
    try:
        made.start()
        yield made
    finally:
        made.stop()
