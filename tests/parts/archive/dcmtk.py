"""DCMTK's programs as parts of a test: real peers on free loopback ports, ended when the test ends.

TCP_NODELAY=1, because without it DCMTK stalls 44 ms for each image.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
_PATIENCE_SECONDS = 120.0
_RANGE = 2000
_FIRST = 10_000 + _RANGE * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10)
_PORTS = itertools.cycle([_FIRST + (os.getpid() + number) % _RANGE for number in range(_RANGE)])


@dataclass(frozen=True, slots=True)
class Peer:
    """A running program: its AE title, its port and where it keeps what it receives."""

    ae_title: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"dimse://{self.ae_title}@127.0.0.1:{self.port}"


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped.

    pynetdicom installs programs of the same names, which an activated environment would find first.
    """
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != Path(sys.prefix, "bin").resolve()]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        import pytest

        package = "openssl" if name == "openssl" else "dcmtk"
        pytest.skip(f"{name} is not on this machine (apt-get install {package})")
    return path


def free_port() -> int:
    """Return a TCP port on the loopback that nobody listens on now.

    Each worker of pytest-xdist has a range of its own, below the ports that the system gives to connections:
    so nobody takes the port before it is listened on.
    """
    while True:
        port = next(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def storescp(folder: Path, *options: str, ae_title: str = "STORESCP") -> Iterator[Peer]:
    """Run a storescp that writes what it receives, bit by bit, into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program("storescp"), "-aet", ae_title, "-od", str(folder), "+B", *options, str(port)]
    with _running(command, port) as process:
        yield Peer(ae_title, port, folder, process)


@contextmanager
def dcmqrscp(
    folder: Path, *options: str, ae_title: str = "ARCHIVE", port: int = 0, moves_to: Mapping[str, int] | None = None
) -> Iterator[Peer]:
    """Run a dcmqrscp: an archive with C-STORE, C-FIND, C-GET and C-MOVE for any calling AE title.

    port: 0 = a free one. moves_to: AE title -> port on the loopback of those whom a C-MOVE may send to.
    """
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    hosts = "".join(f"{title.lower()} = ({title}, 127.0.0.1, {at})\n" for title, at in (moves_to or {}).items())
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\n"
        "MaxPDUSize = 131072\n"
        "MaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}HostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{ae_title} {storage} RW (1000, 1024mb) ANY\nAETable END\n"
    )
    command = [program("dcmqrscp"), "-c", str(configuration), *options]
    with _running(command, port) as process:
        yield Peer(ae_title, port, storage, process)


def storescu(
    port: int, files: Sequence[Path], *options: str, calling: str = "STORESCU", called: str = "ORCHESTRATOR"
) -> subprocess.CompletedProcess[str]:
    """Send the files in one association and return what came of it."""
    command = [program("storescu"), "-aet", calling, "-aec", called, "--max-pdu", "131072", *options]
    return _run([*command, "127.0.0.1", str(port), *map(str, files)])


def echoscu(
    port: int, *options: str, calling: str = "ECHOSCU", called: str = "ORCHESTRATOR"
) -> subprocess.CompletedProcess[str]:
    """Ask for a C-ECHO and return what came of it."""
    return _run([program("echoscu"), "-aet", calling, "-aec", called, *options, "127.0.0.1", str(port)])


def findscu(port: int, *keys: str, called: str = "ARCHIVE") -> subprocess.CompletedProcess[str]:
    """Ask a study root query with ``keys`` such as QueryRetrieveLevel=STUDY and return what came of it."""
    wanted = [part for key in keys for part in ("-k", key)]
    return _run([program("findscu"), "-v", "-S", "-aec", called, *wanted, "127.0.0.1", str(port)])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )


@contextmanager
def _running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended at once with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")
