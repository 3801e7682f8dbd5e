"""How a role is told to end."""

from __future__ import annotations

import subprocess
import sys

STORM = """
import os, signal, threading
from orchestrator.app.service.shutdown import Stop

stop = Stop()
assert not stop.wait(0.01)
storm = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(100_000)], daemon=True)
storm.start()
while storm.is_alive():
    stop.wait(0.01)
assert stop and stop.wait(60)
"""


def test_a_role_that_is_told_to_end_many_times_at_once_ends() -> None:
    done = subprocess.run([sys.executable, "-c", STORM], timeout=120, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
