"""A real Orthanc for demo, tests and benchmarks: Debian's package in a folder of its own, on free ports."""

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
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def orthanc_program() -> str | None:
    """Return the path of the program, None where it is not installed."""
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(slots=True)
class OrthancServer:
    """An Orthanc that keeps what it gets below its folder. Its ports stay the same when it is started again.

    dicom_port: None = it speaks HTTP only. options: further keys of its configuration.
    user: ``name:password`` where it asks for one.
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
        """The address of its own page and of its REST API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def url(self) -> str:
        """The archive's URL in the settings."""
        return f"orthanc+{self.http}"

    @property
    def dicomweb_url(self) -> str:
        """The URL in the settings of the same archive by its DICOMweb plugin."""
        return f"dicomweb+{self.http}/dicom-web"

    @property
    def log(self) -> Path:
        """The file that it logs to."""
        return self.folder / "orthanc.log"

    def start(self) -> None:
        """Return when it answers, with what it held when it was stopped.

        Raises UserError where it is not installed or does not start.
        """
        program = orthanc_program()
        if program is None:
            raise UserError("Orthanc is not installed; on Debian: apt install orthanc orthanc-dicomweb")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configured(), indent=2))
        # without TCP_NODELAY it answers each request on an open connection 40 ms late
        environment = {**os.environ, "TCP_NODELAY": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program, configuration], stdout=log, stderr=log, env=environment)
        self._wait(self.process)

    def stop(self, end_seconds: float = END_SECONDS) -> None:
        """End it; what it holds stays. end_seconds: how long it may take before it is killed."""
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

    def _configured(self) -> dict[str, object]:
        name, _, password = self.user.partition(":")
        return {
            "Name": "orchestrator",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "HttpPort": self.http_port,
            "DicomServerEnabled": self.dicom_port is not None,
            "RemoteAccessAllowed": False,  # it listens everywhere whatever address it is given
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
            except ArchiveRefused:  # an answer, too
                return
            except ArchiveUnavailable as fault:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"Orthanc does not start: {fault}; its log is {self.log}") from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def running_orthanc(folder: Path) -> Iterator[OrthancServer]:
    """Give an Orthanc that keeps what it gets below the folder, and end it.

    Raises UserError where it is not installed or does not start.
    """
    server = OrthancServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
