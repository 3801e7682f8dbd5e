"""Reads a bundle: its files, configuration and network (MONAI Bundle Specification)."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import ManifestError
from orchestrator.worker.child.device import is_out_of_memory
from orchestrator.worker.child.runtimes.packages import require
from orchestrator.worker.child.runtimes.torch_modules import is_torchscript, load_torchscript, load_weights
from orchestrator.worker.protocol.digest import digest

CONFIGURATIONS = ("inference.json", "inference.yaml", "inference.yml")
NETWORKS = ("models/model.pt", "models/model.ts")
FILE_STEPS = ("LoadImage", "SaveImage")
"""Steps that the host replaces by its own images and objects; each also has a form that ends in ``d``."""


class BundleFolder:
    """A bundle whose digest is allowed; none of its code runs before the digest is compared."""

    def __init__(self, place: Path, sha256: str) -> None:
        """Compare the digest and make the bundle's modules importable.

        Raises ManifestError if files of the bundle have changed.
        """
        if (own := digest([place], every_file=True)) != sha256:
            raise ManifestError(f"the bundle has changed: its files have SHA-256 {own}; model.toml allows another")
        sys.pycache_prefix = tempfile.gettempdir()  # compiled code is not part of the digest
        sys.path.insert(0, str(place))
        self._place = place

    def tensor(self, direction: str, name: str) -> Mapping[str, Any]:
        """Return the entry of metadata.json for an input or output (``network_data_format``), empty without one."""
        metadata = json.loads((self._place / "configs" / "metadata.json").read_text())
        entry: Mapping[str, Any] = metadata.get("network_data_format", {}).get(direction, {}).get(name, {})
        return entry

    def configuration(self, device: str) -> Any:
        """Return the inference configuration as a ConfigParser, without the steps that read and write files.

        These steps are disabled in place, so that references by position stay valid.
        Raises EnvironmentMissing, ManifestError.
        """
        parser = require("monai.bundle", "monai").ConfigParser()
        parser.read_meta(str(self._place / "configs" / "metadata.json"))
        parser.read_config(str(self._file(CONFIGURATIONS, "configs")))
        parser["bundle_root"], parser["device"] = str(self._place), f"$torch.device({device!r})"
        for step in components(parser.get()):
            if class_name(step).removesuffix("d") in FILE_STEPS:
                step["_disabled_"] = True
        return parser

    def network(self, configuration: Any, weights: str | None, device: str) -> Any:
        """Return the network with its weights: ``network_def`` with a state dict, or a TorchScript archive.

        Raises ManifestError for any other file.
        """
        file = self._file((weights,) if weights else NETWORKS)
        if is_torchscript(file):
            return load_torchscript(file, device).eval()
        return load_weights(build_part(configuration, "network_def"), file).to(device).eval()

    def _file(self, names: tuple[str, ...], below: str = "") -> Path:
        files = [self._place / below / name for name in names]
        for file in files:
            if file.is_file():
                return file
        raise ManifestError(f"the bundle has none of {', '.join(str(file.relative_to(self._place)) for file in files)}")


def build_part(configuration: Any, key: str) -> Any:
    """Return the object at this key of an inference configuration.

    Raises ManifestError with the error of the bundle's code or of MONAI.
    """
    try:
        return configuration.get_parsed_content(key)
    except Exception as fault:  # noqa: BLE001 - code of the bundle may raise anything
        reason: BaseException = fault
        while reason.__cause__ is not None:  # MONAI wraps the error once for each level
            reason = reason.__cause__
        if isinstance(reason, MemoryError) or is_out_of_memory(reason):
            raise reason from None
        raise ManifestError(f"the bundle's {key!r} cannot be built: {type(reason).__name__}: {reason}") from None


def components(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of the configuration that names a class (``_target_``)."""
    if isinstance(config, dict) and "_target_" in config:
        yield config
    inside = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in inside:
        yield from components(value)


def class_name(component: Mapping[str, Any]) -> str:
    """Return the name of a component's class, without its module."""
    return str(component["_target_"]).rpartition(".")[2]
