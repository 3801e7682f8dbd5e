"""Commands as people type them, and a folder that was processed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import cli
from tests.data.faults import ct
from tests.parts.archive.dcmtk import free_port
from tests.parts.service import run_command

RUN_KEYS = [
    *("series", "model", "version", "rule", "outcome", "reason", "device", "images", "objects"),
    *("measurements", "findings", "seconds"),
]
FAULTY_RULES = """
[[rule]]
name = "lungs"
model = "bone-volum"
[rule.when]
Modalty = "CT"
SliceThickness = { max = "three" }

[[rule]]
name = "lungs"
modell = "x"
"""
FAULTY_SETTINGS = """
[receiver]
prot = 11112
quiet_seconds = "soon"
[[destination]]
name = "pacs"
url = "dimse://PACS@127.0.0.1"
"""


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give the command line, run in this process as its console script does."""

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr("sys.argv", ["orchestrator", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return run


@dataclass(frozen=True)
class Site:
    """A folder with one finished run, the settings that name its ledger, and the key of its only job."""

    folder: Path
    report: list[dict[str, object]]
    key: str

    @property
    def settings(self) -> list[str]:
        return ["--settings", str(self.folder / "settings.toml")]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return _site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of the test's own, to be changed."""
    return _site(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    return tmp_path / "nowhere"


def _site(folder: Path) -> Site:
    ct(folder / "input")
    ended = run_command("run", folder / "input", folder / "output", "--json", folder / "report.json")
    assert ended.returncode == 0, ended.stderr
    state = folder / "output" / ".orchestrator"
    (folder / "settings.toml").write_text(
        f'[data]\nfolder = "{state}"\ndatabase = "sqlite:///{state / "ledger.db"}"\n[receiver]\nport = {free_port()}\n'
    )
    listed = run_command("jobs", "list", "--json", "--settings", folder / "settings.toml")
    (job,) = json.loads(listed.stdout)
    return Site(folder, json.loads((folder / "report.json").read_text()), job["key"])
