"""Hostile models: each attack is stopped in the cage, and gets through without it."""

from __future__ import annotations

import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.worker.conftest import Bench, subject
from tests.integration.worker.process.attacks import ATTACKS

NAMES = re.findall(r"^def (\w+)\(facts\)", ATTACKS, re.MULTILINE)
MODEL = ATTACKS + subject("""
    try:
        globals()[volume.facts["attack"]](volume.facts)
    except OSError as refused:
        return Result(notes={"outcome": type(refused).__name__})
    return Result(notes={"outcome": "through"})
""")

DEPENDING_ON_THE_KERNEL = {"io_uring", "kernel_keyring", "new_user_namespace"}
"""Some kernels are built without these, or keep them from everybody."""

Attack = Callable[[str], str]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give a listening port, a socket of each kind, a secret file and a place to write to."""
    home = tmp_path_factory.mktemp("home")
    secret = home / "secret"
    secret.write_text("secret")
    name = f"orchestrator-test-{home.name}-{id(home)}"
    beside = Path(sys.prefix) / f"{name}-secret"
    beside.write_text("secret")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(home / "socket"))
        unix.listen(8)
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind("\0" + name)
            abstract.listen(8)
            yield {
                "port": str(tcp.getsockname()[1]),
                "unix": str(home / "socket"),
                "abstract": name,
                "secret": str(secret),
                "elsewhere": str(home / "elsewhere"),
                "beside": beside.name,
            }
    beside.unlink()


def attacker(folder: Path, targets: dict[str, str], sandbox: str) -> Iterator[Attack]:
    bench = Bench(folder, MODEL, sandbox)  # type: ignore[arg-type]
    yield lambda name: bench.predict(attack=name, **targets).result.notes["outcome"]
    bench.workers.close()


@pytest.fixture(scope="module")
def caged(tmp_path_factory: pytest.TempPathFactory, targets: dict[str, str]) -> Iterator[Attack]:
    yield from attacker(tmp_path_factory.mktemp("caged") / "bench", targets, "required")


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory, targets: dict[str, str]) -> Iterator[Attack]:
    yield from attacker(tmp_path_factory.mktemp("free") / "bench", targets, "off")


@pytest.mark.parametrize("name", NAMES)
def test_the_cage_stops(caged: Attack, name: str) -> None:
    assert caged(name) == "PermissionError"


@pytest.mark.parametrize("name", sorted({*NAMES} - DEPENDING_ON_THE_KERNEL))
def test_the_attack_is_real_without_the_cage(free: Attack, name: str) -> None:
    assert free(name) == "through"


def test_a_mode_that_a_model_changes_stays_as_it_was(bench: Callable[..., Bench], targets: dict[str, str]) -> None:
    before = stat.S_IMODE(Path(targets["secret"]).stat().st_mode)
    model = bench(subject("os.chmod(volume.facts['secret'], 0o777)\nreturn Result()"))
    model.predict(secret=targets["secret"])
    assert stat.S_IMODE(Path(targets["secret"]).stat().st_mode) == before


def test_the_voxels_cannot_be_written(bench: Callable[..., Bench]) -> None:
    model = bench(
        subject("""
            try:
                volume.voxels.flags.writeable = True
            except ValueError:
                return Result(notes={"outcome": "read-only"})
        """)
    )
    assert model.predict().result.notes == {"outcome": "read-only"}


def test_a_model_can_use_its_temporary_folder(bench: Callable[..., Bench]) -> None:
    model = bench(
        subject("""
            import pathlib, shutil, tempfile
            with tempfile.TemporaryDirectory() as folder:
                source = pathlib.Path(folder, "a")
                source.write_text("kept")
                shutil.copy(source, source.with_name("b"))
                return Result(notes={"b": source.with_name("b").read_text()})
        """)
    )
    assert model.predict().result.notes == {"b": "kept"}


def test_the_environment_of_a_model_holds_no_secret(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", "secret")
    model = bench(subject("return Result(notes={'names': ' '.join(sorted(os.environ))})"))
    assert "TOKEN" not in model.predict().result.notes["names"]


def test_threads_and_scipy_and_programs_work_inside(bench: Callable[..., Bench]) -> None:
    model = bench(
        subject("""
            import subprocess
            from concurrent.futures import ThreadPoolExecutor
            from scipy import ndimage
            with ThreadPoolExecutor(4) as pool:
                threads = sum(pool.map(int, "123"))
            program = subprocess.run(["uname"], capture_output=True, text=True).stdout.strip()
            return Result(notes={"said": f"{threads} {program} {ndimage.label(volume.voxels)[1]}"})
        """)
    )
    assert model.predict().result.notes == {"said": "6 Linux 0"}


OLD_LANDLOCK = """
import importlib.util, os, pathlib, sys
from orchestrator.worker.process import cage
cage.libc.prctl(cage.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
cage.deny_calls(cage._seccomp(importlib.util.find_spec("pyseccomp").origin), 1)
os.kill(os.getpid(), 0)
pathlib.Path("own").write_text("may be written")
for attempt in (
    lambda: os.kill(os.getppid(), 0),
    lambda: os.truncate("own", 0),
    lambda: os.open("own", os.O_RDONLY | os.O_TRUNC),
):
    try:
        attempt()
    except PermissionError:
        print("refused")
"""


def test_seccomp_does_what_an_older_landlock_leaves_open(tmp_path: Path) -> None:
    script = [sys.executable, "-c", OLD_LANDLOCK]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * 3
