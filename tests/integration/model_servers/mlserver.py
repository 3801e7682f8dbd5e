"""MLServer as a part of a test: a real server with models of its own on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.model_servers.installed import environment
from tests.parts.archive.dcmtk import free_port

PATIENCE_SECONDS = 240.0
RUNTIME = '''
"""Models that threshold, and models that go wrong."""
import asyncio
import os
import signal

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Threshold(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        voxels = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output(self.settings.outputs[0].name, await self.answer(voxels))
        return InferenceResponse(model_name=self.name, outputs=[output])

    async def answer(self, voxels):
        return (voxels >= 300).astype(np.float32)


class Slow(Threshold):
    async def answer(self, voxels):
        await asyncio.sleep(30)
        return await super().answer(voxels)


class Raises(Threshold):
    async def answer(self, voxels):
        raise RuntimeError("the weights are gone")


class Dies(Threshold):
    async def answer(self, voxels):
        os.kill(os.getpid(), signal.SIGKILL)


class FailsOnce(Threshold):
    failed = False

    async def answer(self, voxels):
        if not self.failed:
            self.failed = True
            raise RuntimeError("the weights are gone")
        return await super().answer(voxels)


class Smaller(Threshold):
    async def answer(self, voxels):
        return (await super().answer(voxels))[..., 1:]


class NotANumber(Threshold):
    async def answer(self, voxels):
        return np.where(voxels >= 300, np.float32("nan"), 0).astype(np.float32)


class Score(Threshold):
    async def answer(self, voxels):
        return np.array([[0.1, float((voxels >= 300).any())]], np.float32)
'''
SHAPE = [1, 1, -1, -1, -1]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        """End it and all that it started, as a power cut would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def declared(
    kind: str, takes: list[int] | None = None, gives: list[int] | None = None, datatype: str = "FP32"
) -> dict[str, Any]:
    """Return the settings of a model of this class."""
    return {
        "implementation": f"runtime.{kind}",
        "inputs": [{"name": "voxels", "datatype": datatype, "shape": takes or SHAPE}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": gives or SHAPE}],
    }


MODELS: dict[str, dict[str, Any]] = {
    "bone": declared("Threshold"),
    "bone-planes": declared("Threshold", [-1, 1, -1, -1], [-1, 1, -1, -1]),
    "score": declared("Score", gives=[1, 2]),
    "slow": declared("Slow"),
    "raises": declared("Raises"),
    "fails-once": declared("FailsOnce"),
    "dies": declared("Dies"),
    "smaller": declared("Smaller"),
    "not-a-number": declared("NotANumber"),
    "two-channels": declared("Threshold", [1, 2, -1, -1, -1]),
    "integers": declared("Threshold", datatype="INT64"),
    "four-axes": declared("Threshold", [1, -1, -1]),
    "silent": {"implementation": "runtime.Threshold"},
}


@contextmanager
def mlserver(folder: Path, models: dict[str, dict[str, Any]] | None = None, port: int = 0) -> Iterator[Server]:
    """Run an MLServer with these models; port 0 = a free one."""
    installed, port = environment("mlserver", "mlserver==1.7.1"), port or free_port()
    for name, told in (MODELS if models is None else models).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "runtime.py").write_text(RUNTIME)
        (folder / name / "model-settings.json").write_text(json.dumps({"name": name, **told}))
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "bin" / "mlserver", "start", folder],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": f"{installed / 'bin'}:/usr/bin:/bin", "HOME": str(folder)},
            start_new_session=True,
        )
    with Server(f"http://127.0.0.1:{port}", process) as server:
        wait_until_ready(server)
        yield server


def wait_until_ready(server: Server) -> None:
    """Return when the server and all its models are ready."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.url}/v2/health/ready", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{server.process.args!r} does not get ready")
