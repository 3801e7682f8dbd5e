"""An Orthanc for demo, tests and benchmarks: Debian's package, with its own folder and free ports."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.archive import connect
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UserError

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_SECONDS = 30.0
END_SECONDS = 10.0
PROGRAM = "Orthanc"


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def find_orthanc() -> str | None:
    """Return the path of the program, None if it is not installed."""
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(slots=True)
class OrthancServer:
    """An Orthanc that stores images below its folder. Its ports stay the same after a restart.

    dicom_port: None for HTTP only. options: further keys of its configuration.
    user: ``name:password``, empty for an Orthanc without users.
    """

    folder: Path
    http_port: int = field(default_factory=free_port)
    dicom_port: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    user: str = ""
    name: str = "orthanc"
    process: subprocess.Popen[bytes] | None = None

    @property
    def http(self) -> str:
        """The address of its pages and its REST API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def url(self) -> str:
        """The archive's URL in the settings, through the REST API."""
        return f"orthanc+{self.http}"

    @property
    def dicomweb_url(self) -> str:
        """The archive's URL in the settings, through the DICOMweb plugin."""
        return f"dicomweb+{self.http}/dicom-web"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.folder / "orthanc.log"

    def start(self) -> None:
        """Start Orthanc and return when it answers. It keeps the images of earlier runs.

        Raises UserError if it is not installed or does not start.
        """
        program = find_orthanc()
        if program is None:
            raise UserError("Orthanc is not installed; install it (Debian: apt install orthanc orthanc-dicomweb)")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        # without TCP_NODELAY it answers each request on an open connection 40 ms late
        environment = {**os.environ, "TCP_NODELAY": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program, configuration], stdout=log, stderr=log, env=environment)
        self._wait(self.process)

    def stop(self, end_seconds: float = END_SECONDS) -> None:
        """Stop Orthanc; its images stay. end_seconds: wait so long, then kill it; 0 kills it at once."""
        if self.process is None:
            return
        if end_seconds:
            self.process.terminate()
        try:
            self.process.wait(end_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _configuration(self) -> dict[str, object]:
        name, _, password = self.user.partition(":")
        return {
            "Name": "orchestrator",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "HttpPort": self.http_port,
            "DicomServerEnabled": self.dicom_port is not None,
            "RemoteAccessAllowed": False,  # Orthanc always listens on all addresses
            "AuthenticationEnabled": bool(self.user),
            "RegisteredUsers": {name: password} if self.user else {},
            "OverwriteInstances": False,
            "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
            **({} if self.dicom_port is None else {"DicomPort": self.dicom_port}),
            **self.options,
        }

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        name, _, password = self.user.partition(":")
        archive = connect(self.url, name=self.name, username=name, password=password)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                archive.echo()
            except ArchiveRefused:  # Orthanc answers
                return
            except ArchiveUnavailable as fault:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"Orthanc does not start ({fault}); see its log {self.log}") from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def run_orthanc(folder: Path) -> Iterator[OrthancServer]:
    """Run an Orthanc that stores images below the folder; stop it at the end.

    Raises UserError if it is not installed or does not start.
    """
    server = OrthancServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
