"""R1 to R3: what receiving costs against DCMTK's storescp, which makes nothing durable, and what waiting costs.

Yardstick and ours take the same 300 CT images of 512 x 512 from storescu, in one association or in four at
once, in turn. R3 is the processor time of our receiver while four peers keep an association open and say nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from pynetdicom import AE, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from benchmarks.dcmtk import send, storescp
from benchmarks.row import Row, row, show, wall
from benchmarks.series import write_ct

IMAGES = 300
SENDERS = 4
IDLE_SECONDS = 10.0
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
Batches = Sequence[Sequence[Path]]
"""What each sender sends in an association of its own."""


def rows(rounds: int = 5) -> Iterator[Row]:
    """Yield R1 and R2 with their first targets, the second ones are 1.5; then R3."""
    with tempfile.TemporaryDirectory() as name:
        folder, turn = Path(name), count()
        files = write_ct(folder / "source", IMAGES)
        one, four = [files], [files[start::SENDERS] for start in range(SENDERS)]

        def both(batches: Batches) -> tuple[float, float]:
            return theirs(batches, folder / f"theirs{next(turn)}"), ours(batches, folder / f"ours{next(turn)}")

        goal = f"ingest of {IMAGES} CT, durable before the ack"
        yield row("R1", goal, "storescp", [both(one) for _ in range(rounds)], target=7.0)
        yield row("R2", f"{goal}, {SENDERS} at once", "storescp", [both(four) for _ in range(rounds)], target=4.0)
        waits = [(IDLE_SECONDS, idle(folder / f"idle{next(turn)}")) for _ in range(min(rounds, 2))]
        yield row("R3", f"CPU of {SENDERS} idle associations", "one core", waits, target=0.01)


def theirs(batches: Batches, folder: Path) -> float:
    """Return the wall in seconds that storescp takes."""
    with storescp(folder) as port:
        return wall(partial(_send_all, batches, port, "STORESCP"))


def ours(batches: Batches, folder: Path) -> float:
    """Return the wall in seconds that our receiver takes, in a process of its own."""
    with _receiver(folder) as running:
        return wall(partial(_send_all, batches, running.port, "ORCHESTRATOR"))


def idle(folder: Path) -> float:
    """Return the processor seconds of our receiver while its peers are silent."""
    with _receiver(folder) as running:
        entity = AE("IDLE")
        peers = [
            entity.associate("127.0.0.1", running.port, [build_context(Verification)], ae_title="ORCHESTRATOR")
            for _ in range(SENDERS)
        ]
        assert all(peer.is_established for peer in peers)
        before = running.processor_seconds()
        time.sleep(IDLE_SECONDS)
        used = running.processor_seconds() - before
        for peer in peers:
            peer.release()
        return used


@dataclass(frozen=True, slots=True)
class _Running:
    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Return what all threads of the process have used, in steps of a clock tick."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _receiver(folder: Path) -> Iterator[_Running]:
    process = subprocess.Popen(
        [sys.executable, "-c", _RECEIVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield _Running(int(process.stdout.readline()), process.pid)
    finally:
        process.communicate()


def _send_all(batches: Batches, port: int, called: str) -> None:
    deliver: Callable[[Sequence[Path]], None] = partial(send, port=port, called=called)
    with ThreadPoolExecutor(len(batches)) as senders:
        list(senders.map(deliver, batches))


if __name__ == "__main__":
    show(rows, __doc__, rounds=5)
