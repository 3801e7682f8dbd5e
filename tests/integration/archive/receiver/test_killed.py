"""kill -9 while images pour in: every acknowledged one is there afterwards, and whole."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Spool
from tests.data.objects import write_instances
from tests.parts.archive.dcmtk import storescu

RECEIVER = """
import sys, time
from pathlib import Path
from orchestrator.archive import Receiver, Spool

def stall_before_the_end(_):
    arrivals.append(_)
    if len(arrivals) > int(sys.argv[2]):
        time.sleep(600)

arrivals = []
receiver = Receiver(Spool(Path(sys.argv[1])), port=0, on_stored=stall_before_the_end, on_closed=lambda _: None)
receiver.start()
print(receiver.port, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("filed", [5, 20, 60])
def test_every_acknowledged_instance_survives_kill_9(tmp_path: Path, filed: int) -> None:
    batches = [write_instances(tmp_path / f"sent{index}", 80, pixels=bytes(100_000)) for index in range(2)]
    outputs: list[str] = []
    command = [sys.executable, "-c", RECEIVER, str(tmp_path / "spool"), "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        senders = [
            threading.Thread(target=lambda batch=batch: outputs.append(storescu(port, batch, "-v").stderr))
            for batch in batches
        ]
        for sender in senders:
            sender.start()
        _wait_for_files(tmp_path / "spool", filed)
        process.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    acknowledged = {dcmread(path).SOPInstanceUID for path in _acknowledged(outputs)}
    spool = Spool(tmp_path / "spool")
    held = {file.sop_uid: dcmread(file.path).PixelData for file in spool.scan()}
    assert acknowledged
    assert len(acknowledged) < 160
    assert acknowledged <= set(held)
    assert set(map(len, held.values())) == {100_000}


def _wait_for_files(spool: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(spool.glob("*/*/*.dcm"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _acknowledged(outputs: list[str]) -> list[Path]:
    """Return the files that storescu -v names before a ``Received Store Response (Success)``."""
    pattern = re.compile(r"Sending file: (\S+)(?:(?!Sending file).)*?Received Store Response \(Success\)", re.DOTALL)
    return [Path(name) for output in outputs for name in pattern.findall(output)]
