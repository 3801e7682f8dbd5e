"""A model.toml of runtime "remote": what it must say of its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.domain.errors import ManifestError
from orchestrator.worker import read_manifest

SOUND = """contract = 1
name = "bone-remote"
version = "1"
runtime = "remote"
segment = [{ label = "Bone", type = "bone" }]

[remote]
url = "http://triton:8000/"
model = "bone"
"""


def _fault(folder: Path, text: str) -> str:
    (folder / "model.toml").write_text(text)
    with pytest.raises(ManifestError) as told:
        read_manifest(folder / "model.toml")
    return str(told.value)


def test_a_server_and_a_name_there_are_enough(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(SOUND)
    remote = read_manifest(tmp_path / "model.toml").remote
    assert remote is not None
    assert (remote.url, remote.model, remote.version) == ("http://triton:8000", "bone", None)


@pytest.mark.parametrize(
    "url",
    [
        *("triton:8000", "ftp://triton", "http://", "http://triton:0", "http://triton:99999", "http://[::1"),
        *("http://user:secret@triton", "http://triton/?key=secret", "http://triton/a/../b"),
    ],
)
def test_what_names_no_server_is_named_with_its_line_and_not_repeated(tmp_path: Path, url: str) -> None:
    fault = _fault(tmp_path, SOUND.replace("http://triton:8000/", url))
    assert "model.toml:8: remote.url: " in fault
    assert "secret" not in fault


@pytest.mark.parametrize(
    ("part", "instead", "sentence"),
    [
        ('model = "bone"', "", ":7: 'model' is missing"),
        ('model = "bone"', 'model = "../other"', ":9: remote.model: "),
        ('model = "bone"', 'model = "bone"\ntimeout = 3', ":10: unknown key 'timeout'"),
        ('runtime = "remote"', 'runtime = "remote"\nfile = "x.onnx"', ":5: 'file' is for runtime = "),
        ('runtime = "remote"', 'runtime = "python"', ":7: 'remote' is for runtime = \"remote\""),
        ('segment = [{ label = "Bone", type = "bone" }]', "", "at least one [[segment]], [[map]] or [[finding]]"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, part: str, instead: str, sentence: str) -> None:
    assert sentence in _fault(tmp_path, SOUND.replace(part, instead, 1))


def test_a_remote_model_without_a_server_is_named(tmp_path: Path) -> None:
    assert "needs [remote] with the url of the server" in _fault(tmp_path, SOUND.partition("[remote]")[0])
