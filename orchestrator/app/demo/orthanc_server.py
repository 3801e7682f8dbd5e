"""A real Orthanc for the demo: Debian's package in a folder of its own, on free ports of this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.archive import connect
from orchestrator.domain.errors import ArchiveUnavailable, UserError

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_SECONDS = 30.0
PROGRAM = "Orthanc"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """Where it answers. ``http`` is its own page, ``url`` what the settings of this host say."""

    http: str
    name: str = "orthanc"

    @property
    def url(self) -> str:
        """The archive's URL in the settings."""
        return f"orthanc+{self.http}"


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Give an Orthanc that keeps what it gets below the folder, and end it.

    Raises UserError where it is not installed or does not start.
    """
    program = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise UserError("Orthanc is not installed; on Debian: apt install orthanc orthanc-dicomweb")
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_configured(folder, port), indent=2))
    # without TCP_NODELAY it answers each request on an open connection 40 ms late
    environment = {**os.environ, "TCP_NODELAY": "1"}
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, configuration], stdout=log, stderr=log, env=environment)
    try:
        orthanc = Orthanc(f"http://127.0.0.1:{port}")
        _wait(orthanc, process, folder / "orthanc.log")
        yield orthanc
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configured(folder: Path, port: int) -> dict[str, object]:
    return {
        "Name": "demo",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,  # it listens everywhere whatever address it is given
        "AuthenticationEnabled": False,
        "OverwriteInstances": False,
        "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
    }


def _wait(orthanc: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    archive = connect(orthanc.url, name=orthanc.name)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            archive.echo()
        except ArchiveUnavailable as fault:
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"Orthanc does not start: {fault}; its log is {log}") from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
