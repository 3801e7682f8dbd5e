"""What must not run is refused by name, before anything of it ran."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import ManifestError
from orchestrator.worker import discover, install
from orchestrator.worker.child.runtimes import load_network
from orchestrator.worker.protocol.digest import digest
from tests.integration.worker.runtimes.conftest import Host
from tests.integration.worker.runtimes.exports import (
    AS_THE_BUNDLE,
    NETWORK,
    allow,
    bundle_files,
    model_folder,
    monai_bundle,
    torchscript,
    traced,
)


class Attack:
    """Runs a command where it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


def pickled(folder: Path) -> bytes:
    """Return a pickle that leaves a file in the folder where it is loaded."""
    return pickle.dumps(Attack(folder / "proof"), 2)


def bare_pickle(file: Path) -> None:
    file.write_bytes(pickled(file.parent))


def pickle_saved_by_torch(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("network/data.pkl", pickled(file.parent))
        archive.writestr("network/version", "3\n")


def pickle_dressed_as_torchscript(file: Path) -> None:
    sound = traced(file.with_name("sound.pt"))
    with zipfile.ZipFile(sound) as archive, zipfile.ZipFile(file, "w") as forged:
        for name in archive.namelist():
            forged.writestr(name, pickled(file.parent) if name.endswith("/data.pkl") else archive.read(name))


def weights_of_another_network(file: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 2).state_dict(), file)


def broken_safetensors(file: Path) -> None:
    bare_pickle(file.with_name("file.safetensors"))


FILES = [
    ("torchscript", bare_pickle, "file.pt is not a TorchScript archive; write it with torch.jit.save"),
    ("torchscript", pickle_saved_by_torch, "file.pt is not a TorchScript archive; write it with torch.jit.save"),
    ("torchscript", pickle_dressed_as_torchscript, "file.pt cannot be read as TorchScript: "),
    ("pytorch", bare_pickle, "file.pt contains more than weights"),
    ("pytorch", pickle_saved_by_torch, "file.pt contains more than weights"),
    ("pytorch", weights_of_another_network, "file.pt has the weights of another network: "),
    ("pytorch", Path.touch, "file.pt cannot be read as weights: "),
    ("pytorch", broken_safetensors, "file.safetensors cannot be read as weights: "),
]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch advises its successors
@pytest.mark.parametrize(("runtime", "write", "sentence"), FILES)
def test_a_file_that_is_no_network_is_refused_and_nothing_in_it_runs(
    tmp_path: Path, runtime: str, write: Callable[[Path], object], sentence: str
) -> None:
    write(tmp_path / "file.pt")
    (tmp_path / "lesion.py").write_text(NETWORK)
    recipe = {"runtime": runtime, "network": "lesion:build", "input": {}, "output": {"name": None}, "detection": None}
    with pytest.raises(ManifestError, match=re.escape(sentence)):
        load_network(recipe, tmp_path, tmp_path / sentence.split()[0], "cpu")
    assert not (tmp_path / "proof").exists()


def network_without_that_channel(folder: Path) -> Path:
    return _edited(torchscript(folder), "channel = 1", "channel = 2")


def network_of_three_colours(folder: Path) -> Path:
    return torchscript(folder, AS_THE_BUNDLE.replace('modality = "CT"', "colour = true"))


def bundle_that_reads_what_is_not_its_own(folder: Path) -> Path:
    return monai_bundle(folder, inferer="$open('/etc/hostname').read()")


REFUSED: dict[Callable[[Path], Path], str] = {
    network_without_that_channel: "/model.toml:19: the network has no channel 2, only channels 0 to 1.",
    network_of_three_colours: "the network takes none of [[24, 24, 24]]; set patch in [input]: Given groups=1, ",
    bundle_that_reads_what_is_not_its_own: "the bundle's 'inferer' cannot be built: PermissionError: [Errno 13]",
}


def named(make: Callable[[Path], Path]) -> str:
    return make.__name__.replace("_", "-")


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give why each model folder is refused, by its name."""
    root = tmp_path_factory.mktemp("refused")
    host = Host([make(root / named(make)) for make in REFUSED], root / "work")
    with closing(host.workers):
        yield {listing.name: listing.error for listing in host.workers.listing()}


@pytest.mark.torch
@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_cannot_work_is_refused_in_one_sentence(refused: dict[str, str], make: Callable[[Path], Path]) -> None:
    error = refused[named(make)]
    assert REFUSED[make] in error
    assert len(error.splitlines()) == 1


def error_of(folder: Path) -> str:
    (source,) = discover([folder], entry_points=False)
    return source.error


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Give the folder of a model whose bundle is allowed."""
    bundle_files(tmp_path / "bundle" / "bright_lesions")
    return allow(tmp_path / "bundle")


def test_a_bundle_is_code_and_runs_only_where_its_digest_is_allowed(bundle: Path) -> None:
    assert error_of(bundle) == ""
    (bundle / "bright_lesions" / "scripts" / "lesion.py").write_text("print('other code')")
    found = digest([bundle / "bright_lesions"], every_file=True)
    assert f":6: a bundle is code: the files in {bundle}/bright_lesions have SHA-256 {found}, not " in error_of(bundle)


def test_the_digest_to_allow_is_told_where_none_is(bundle: Path) -> None:
    found = digest([bundle / "bright_lesions"], every_file=True)
    assert f"have SHA-256 {found}, and none is allowed" in error_of(_edited(bundle, f', sha256 = "{found}"', ""))


@pytest.mark.parametrize("name", ["yaml.pyc", "docs/README.md", "yaml/__init__.py", "node_modules/x.py", "new.json"])
def test_no_file_that_a_bundle_can_import_or_read_is_left_out_of_its_digest(bundle: Path, name: str) -> None:
    file = bundle / "bright_lesions" / name
    file.parent.mkdir(exist_ok=True)
    (file.parent / "pyvenv.cfg").touch()
    allow(bundle)
    file.write_text("anything")
    assert "have SHA-256" in error_of(bundle)


def test_a_folder_that_is_no_bundle_is_named(bundle: Path) -> None:
    (bundle / "bright_lesions" / "configs").rename(bundle / "configs")
    assert f"{bundle}/bright_lesions is not a MONAI bundle: it has no folder configs" in error_of(bundle)


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the interpreter of a model's own environment, which has neither torch nor monai."""
    folder = tmp_path_factory.mktemp("bare") / "model"
    folder.mkdir()
    (folder / "network.pt").touch()
    model_folder(folder, "torchscript", 'requirements = ["packaging==25.0"]', folder / "network.pt")
    (source,) = discover([folder], entry_points=False)
    install(source, lambda line: None)
    return source.python


@pytest.mark.parametrize(("runtime", "extra"), [("torchscript", "torch"), ("monai-bundle", "monai")])
def test_an_interpreter_without_the_package_is_told_where_to_get_it(
    host: Callable[..., Host], bundle: Path, bare_python: Path, runtime: str, extra: str
) -> None:
    if runtime == "torchscript":
        (bundle / "network.pt").touch()
        model_folder(bundle, runtime, f'python = "{bare_python}"', bundle / "network.pt")
    else:
        allow(bundle, f'python = "{bare_python}"')
    (error,) = host(bundle).errors
    assert error.startswith(f"{bare_python} has no package 'torch'. Run pip install 'radiology-orchestrator[{extra}]'")
    assert error.endswith("run orchestrator models install")


def _edited(folder: Path, part: str, instead: str) -> Path:
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace(part, instead))
    return folder
