"""Finds models and plugins in folders and in installed packages, without importing them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import ManifestError
from orchestrator.sdk.entry_points import InstalledPlugin, installed_plugins
from orchestrator.worker.manifest.file import read_manifest
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.protocol.digest import digest

MANIFEST = "model.toml"

ENVIRONMENT = ".venv"
"""Folder of the model's own environment, inside the model folder; ``orchestrator models install`` makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A source of models: an installed plugin, a plugin file or a model folder.

    folders: its code and data; besides them its process may read only the interpreter and the weights.
    digest: SHA-256 over these files without documentation; empty where ``error`` says why the source is refused.
    python: the interpreter of its process.
    manifest: of a model folder; a plugin names its manifests when it registers its models.
    """

    name: str
    origin: str
    version: str = ""
    module: str | None = None
    file: Path | None = None
    folders: tuple[Path, ...] = ()
    digest: str = ""
    python: Path = Path(sys.executable)
    manifest: Manifest | None = None
    error: str = ""

    def plugin(self) -> dict[str, Any]:
        """Return what the model process must load, as JSON values."""
        if self.manifest is not None and self.manifest.runtime != "python":
            return {"recipe": self.manifest.model_dump(mode="json"), "folder": str(self.folders[0])}
        if self.file is not None:
            return {"name": self.name, "file": str(self.file)}
        return {"name": self.name, "module": self.module}


def discover(
    model_folders: Sequence[Path], plugin_folders: Sequence[Path] = (), *, entry_points: bool = True
) -> tuple[ModelSource, ...]:
    """Return every source of models; a faulty source has an error and does not stop the others.

    model_folders: model folders (with a model.toml), or folders of model folders.
    plugin_folders: plugins (files or packages), or folders of plugins. A plugin that is also installed as a package
        counts once, as installed.
    """
    installed = tuple(map(_installed_source, installed_plugins())) if entry_points else ()
    packages = {place.resolve() for source in installed for place in source.folders}
    files = [_plugin_source(file) for folder in plugin_folders for file in _plugin_files(folder)]
    return (
        *installed,
        *(source for source in files if packages.isdisjoint(source.folders)),
        *(_model_source(folder) for folder in dict.fromkeys(_model_folders(model_folders))),
    )


def _installed_source(plugin: InstalledPlugin) -> ModelSource:
    fields: dict[str, Any] = {"name": plugin.name, "origin": plugin.origin, "version": plugin.version}
    spec = None if plugin.error else importlib.util.find_spec(plugin.package)
    if spec is None:
        return ModelSource(**fields, error=plugin.error or f"the package {plugin.package} is not installed")
    places = spec.submodule_search_locations or [spec.origin or ""]
    folders = tuple(Path(place) for place in places)
    return ModelSource(**fields, module=plugin.value, folders=folders, digest=digest(folders))


def _plugin_files(folder: Path) -> Iterator[Path]:
    itself = folder / "__init__.py" if folder.is_dir() else folder
    if itself.is_file():
        yield itself
        return
    yield from sorted(file for file in folder.glob("*.py") if not file.name.startswith("_"))
    yield from sorted(folder.glob("*/__init__.py"))


def _plugin_source(file: Path) -> ModelSource:
    file = file.resolve()
    place = file.parent if file.name == "__init__.py" else file
    return ModelSource(name=place.stem, origin=str(place), file=file, folders=(place,), digest=digest([place]))


def _model_folders(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / MANIFEST).is_file():
            yield folder.resolve()
        else:
            yield from sorted(manifest.parent.resolve() for manifest in folder.glob(f"*/{MANIFEST}"))


def _model_source(folder: Path) -> ModelSource:
    fields: dict[str, Any] = {"name": folder.name, "origin": str(folder), "folders": (folder,)}
    try:
        manifest = read_manifest(folder / MANIFEST)
    except ManifestError as fault:
        return ModelSource(**fields, error=str(fault))
    fields["folders"] = _folders(folder, manifest)
    fields |= {"manifest": manifest, "version": manifest.version, "digest": digest(fields["folders"])}
    python = _interpreter(folder, manifest)
    if not manifest.requirements and not python.exists():
        return ModelSource(**fields, error=f"{folder / MANIFEST}: there is no interpreter {python}")
    if manifest.runtime != "python":
        return ModelSource(**fields, python=python)
    entry = _entry(folder, manifest.entry or "")
    if entry is None:
        return ModelSource(
            **fields, error=f"{folder / MANIFEST}: a Python model needs entry = the file that registers the model"
        )
    return ModelSource(**fields, file=entry, python=python)


def _folders(folder: Path, manifest: Manifest) -> tuple[Path, ...]:
    """Return the model's folder, and the folder of its bundle if that is elsewhere."""
    bundle = (folder / manifest.bundle.path).resolve() if manifest.bundle else folder
    return (folder,) if bundle.is_relative_to(folder) else (folder, bundle)


def _interpreter(folder: Path, manifest: Manifest) -> Path:
    if manifest.requirements:
        return folder / ENVIRONMENT / "bin" / "python"
    return folder / manifest.python if manifest.python else Path(sys.executable)


def _entry(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.py", folder / name / "__init__.py")
    return next((path for path in candidates if name and path.is_file()), None)
