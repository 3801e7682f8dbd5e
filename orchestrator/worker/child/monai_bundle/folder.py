"""A bundle on disk: its files, its configuration, its network (MONAI Bundle Specification)."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import ManifestError
from orchestrator.worker.child.place import ran_out_of_memory
from orchestrator.worker.child.runtimes.packages import required
from orchestrator.worker.child.runtimes.torch_modules import is_torchscript, torchscript, with_weights
from orchestrator.worker.protocol.digest import digest

CONFIGURATIONS = ("inference.json", "inference.yaml", "inference.yml")
NETWORKS = ("models/model.pt", "models/model.ts")
FILE_STEPS = ("LoadImage", "SaveImage")
"""What our own images and objects stand for; each also has a form with a ``d`` at its end."""


class BundleFolder:
    """A bundle whose digest is the allowed one; nothing of it runs before that was compared."""

    def __init__(self, place: Path, sha256: str) -> None:
        """Compare the digest and make the bundle's own modules importable.

        Raises ManifestError where its files are not the ones that were allowed.
        """
        if (found := digest([place], every_file=True)) != sha256:
            raise ManifestError(f"the bundle was changed: its files have the sha256 {found}, not the one allowed")
        sys.pycache_prefix = tempfile.gettempdir()  # compiled code in the bundle is not in its digest
        sys.path.insert(0, str(place))
        self._place = place

    def tensor(self, direction: str, name: str) -> Mapping[str, Any]:
        """Return what metadata.json says of an input or output (``network_data_format``), empty where nothing."""
        metadata = json.loads((self._place / "configs" / "metadata.json").read_text())
        told: Mapping[str, Any] = metadata.get("network_data_format", {}).get(direction, {}).get(name, {})
        return told

    def configuration(self, device: str) -> Any:
        """Return the inference configuration as a ConfigParser, without the steps that read and write files.

        Those are switched off where they stand, so that references to their neighbours keep their positions.
        Raises EnvironmentMissing, ManifestError.
        """
        parser = required("monai.bundle", "monai").ConfigParser()
        parser.read_meta(str(self._place / "configs" / "metadata.json"))
        parser.read_config(str(self._file(CONFIGURATIONS, "configs")))
        parser["bundle_root"], parser["device"] = str(self._place), f"$torch.device({device!r})"
        for step in components(parser.get()):
            if named(step).removesuffix("d") in FILE_STEPS:
                step["_disabled_"] = True
        return parser

    def network(self, configuration: Any, weights: str | None, device: str) -> Any:
        """Return the network with its weights: ``network_def`` with a state dict, or a TorchScript archive.

        Raises ManifestError for any other file.
        """
        file = self._file((weights,) if weights else NETWORKS)
        if is_torchscript(file):
            return torchscript(file, device).eval()
        return with_weights(part(configuration, "network_def"), file).to(device).eval()

    def _file(self, names: tuple[str, ...], below: str = "") -> Path:
        files = [self._place / below / name for name in names]
        for file in files:
            if file.is_file():
                return file
        raise ManifestError(f"the bundle has none of {', '.join(str(file.relative_to(self._place)) for file in files)}")


def part(configuration: Any, key: str) -> Any:
    """Return the object that stands at the key of an inference configuration.

    Raises ManifestError with what the bundle's own code, or MONAI, says of it.
    """
    try:
        return configuration.get_parsed_content(key)
    except Exception as fault:  # noqa: BLE001 - a bundle is code, and raises what it likes
        reason: BaseException = fault
        while reason.__cause__ is not None:  # MONAI wraps it once for each level
            reason = reason.__cause__
        if isinstance(reason, MemoryError) or ran_out_of_memory(reason):
            raise reason from None
        raise ManifestError(f"the bundle's {key!r} cannot be made: {type(reason).__name__}: {reason}") from None


def components(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of the configuration that names a class to be made (``_target_``)."""
    if isinstance(config, dict) and "_target_" in config:
        yield config
    inside = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for part in inside:
        yield from components(part)


def named(component: Mapping[str, Any]) -> str:
    """Return the name of a component's class, without its module."""
    return str(component["_target_"]).rpartition(".")[2]
