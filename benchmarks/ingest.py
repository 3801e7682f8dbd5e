"""R1: what receiving costs against DCMTK's storescp, which makes nothing durable.

Yardstick and ours take the same 300 CT images of 512 x 512 in one association from storescu, in turn.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from benchmarks.dcmtk import send, storescp
from benchmarks.row import Row, row, show, wall
from benchmarks.series import write_ct

IMAGES = 300
_RECEIVER = """
import sys
from pathlib import Path
from orchestrator.archive import Receiver, Spool
receiver = Receiver(Spool(Path(sys.argv[1])), port=0, on_stored=lambda _: None, on_closed=lambda _: None)
receiver.start()
print(receiver.port, flush=True)
sys.stdin.read()
receiver.stop()
"""


def rows(rounds: int = 5) -> Iterator[Row]:
    """Yield R1 with its first target; the second one is 1.5."""
    with tempfile.TemporaryDirectory() as name:
        folder, turn = Path(name), count()
        files = write_ct(folder / "source", IMAGES)
        walls = [
            (theirs(files, folder / f"theirs{next(turn)}"), ours(files, folder / f"ours{next(turn)}"))
            for _ in range(rounds)
        ]
    yield row("R1", f"ingest of {IMAGES} CT, durable before the ack", "storescp", walls, target=7.0)


def theirs(files: list[Path], folder: Path) -> float:
    """Return the wall in seconds that storescp takes."""
    with storescp(folder) as port:
        return wall(lambda: send(files, port, "STORESCP"))


def ours(files: list[Path], folder: Path) -> float:
    """Return the wall in seconds that our receiver takes, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RECEIVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        return wall(lambda: send(files, port, "ORCHESTRATOR"))
    finally:
        process.communicate()


if __name__ == "__main__":
    show(rows, __doc__, rounds=5)
