"""Triton as a part of a test: the real server out of PyPI's wheel, with one model of its Python backend."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.model_servers.installed import environment
from tests.integration.model_servers.mlserver import Server, wait_until_ready
from tests.parts.archive.dcmtk import free_port

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CONFIGURATION = """
name: "bone"
backend: "python"
max_batch_size: 0
input [{ name: "voxels" data_type: TYPE_FP32 dims: [ 1, 1, -1, -1, -1 ] }]
output [
  { name: "volume" data_type: TYPE_FP32 dims: [ 1 ] },
  { name: "scores" data_type: TYPE_FP32 dims: [ 1, 1, -1, -1, -1 ] }
]
instance_group [{ kind: KIND_CPU count: 1 }]
"""
MODEL = '''
"""Thresholds."""
import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(request, "voxels").as_numpy()) for request in requests]

    def answer(self, voxels):
        scores = (voxels >= 300).astype(np.float32)
        volume = triton.Tensor("volume", np.array([scores.sum()], np.float32))
        return triton.InferenceResponse([volume, triton.Tensor("scores", scores)])
'''


def why_not() -> str:
    """Return why the wheel does not run here, empty where it does."""
    library = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("INSTSONAME"))
    if platform.machine() != "x86_64" or PYTHON not in ("3.11", "3.12"):
        return f"no Triton for Python {PYTHON} on {platform.machine()}"  # its stub reads numpy 1 only
    return "" if ".so" in library.name and library.exists() else "Triton's stub needs Python as a shared library"


@contextmanager
def triton(folder: Path) -> Iterator[Server]:
    """Run a Triton that serves the model ``bone``, version 1."""
    installed = environment("triton", "nvidia-pytriton==0.7.0", "numpy==1.26.4", options=["--no-deps"])
    packages = installed / "lib" / f"python{PYTHON}" / "site-packages"
    shipped = packages / "pytriton" / "tritonserver"
    shutil.copytree(shipped / "backends" / "python", folder / "backends" / "python")
    shutil.copy(
        shipped / "python_backend_stubs" / PYTHON / "triton_python_backend_stub", folder / "backends" / "python"
    )
    (folder / "models" / "bone" / "1").mkdir(parents=True)
    (folder / "models" / "bone" / "config.pbtxt").write_text(CONFIGURATION)
    (folder / "models" / "bone" / "1" / "model.py").write_text(MODEL)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                shipped / "bin" / "tritonserver",
                f"--model-repository={folder / 'models'}",
                f"--backend-directory={folder / 'backends'}",
                "--http-address=127.0.0.1",
                f"--http-port={port}",
                "--allow-grpc=false",
                "--allow-metrics=false",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                "PATH": f"{installed / 'bin'}:/usr/bin:/bin",  # where the stub looks for its python3
                "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}",
            },
            start_new_session=True,
        )
    with Server(f"http://127.0.0.1:{port}", process) as server:
        wait_until_ready(server)
        yield server
