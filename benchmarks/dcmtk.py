"""DCMTK as the yardstick and the peer.

TCP_NODELAY=1, because without it DCMTK stalls 44 ms for each image, which would flatter us.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.app.demo.orthanc_server import free_port

_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
_PATIENCE_SECONDS = 10.0


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """Run a storescp that writes what it receives bit by bit; give its port."""
    folder.mkdir(parents=True)
    port = free_port()
    options = ["-aet", "STORESCP", "-od", str(folder), "+B", "--fork", "--max-pdu", "131072"]
    with _running([_program("storescp"), *options, str(port)], port):
        yield port


@contextmanager
def archive(folder: Path) -> Iterator[int]:
    """Run a dcmqrscp, an archive with C-STORE and C-FIND and the title ARCHIVE; give its port."""
    storage = folder / "storage"
    storage.mkdir(parents=True)
    port = free_port()
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {storage} RW (1000, 1024mb) ANY\nAETable END\n"
    )
    with _running([_program("dcmqrscp"), "-c", str(folder / "dcmqrscp.cfg")], port):
        yield port


def send(files: Sequence[Path], port: int, called: str) -> None:
    """Send the files in one association; SystemExit where one is not taken."""
    command = [_program("storescu"), "-aec", called, "--max-pdu", "131072", "127.0.0.1", str(port), *map(str, files)]
    answer = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode:
        raise SystemExit(f"storescu failed: {answer.stdout}{answer.stderr}")


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once somebody listens there; SystemExit where the process ends before."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"{process.args!r} does not listen on port {port}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"DCMTK's {name} is needed: apt-get install dcmtk")
    return path


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)
