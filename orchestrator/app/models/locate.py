"""Locates a model by its name or its folder."""

from __future__ import annotations

import tomllib
from contextlib import closing
from pathlib import Path

from orchestrator.app.batch import run
from orchestrator.app.installation.connections import start_workers
from orchestrator.config import Settings
from orchestrator.domain.errors import UserError
from orchestrator.sdk.entry_points import GROUP
from orchestrator.worker import ModelSource, Workers, discover

MANIFEST, PROJECT = "model.toml", "pyproject.toml"


def locate(what: str, settings: Settings) -> tuple[str, Settings]:
    """Return the model's name and the settings; for a folder or a model.toml the settings include that folder.

    The folder has a model.toml, or the pyproject.toml of a package with a model, installed or not.
    Raises UserError, ManifestError.
    """
    path = Path(what)
    folder = path.parent if path.name in (MANIFEST, PROJECT) else path
    if what and (folder / MANIFEST).is_file():
        return _of_manifest(folder, settings)
    if what and (folder / PROJECT).is_file():
        return _of_package(folder, settings)
    if what and path.is_dir():
        raise UserError(f"{path} has neither a {MANIFEST} nor the {PROJECT} of a package with a model")
    if "/" in what:
        raise UserError(f"there is no folder {path}")
    return what, settings


def source_of(what: str, settings: Settings) -> ModelSource:
    """Return the source of the model.

    Raises UserError, ManifestError, UnknownRecord.
    """
    name, effective = locate(what, settings)
    with closing(start_workers(effective)) as workers:
        return workers.catalogue_entry(name).source


def _of_manifest(folder: Path, settings: Settings) -> tuple[str, Settings]:
    from orchestrator.worker import read_manifest

    manifest = read_manifest(folder / MANIFEST)
    return manifest.name, run.with_folders(settings, rules=None, models=[folder], plugins=())


def _of_package(folder: Path, settings: Settings) -> tuple[str, Settings]:
    place = _package(folder)
    sources = discover([], [place], entry_points=False)
    with closing(Workers(sources, sandbox=settings.worker.sandbox, weights=settings.models.weights)) as workers:
        names, faults = list(workers.models()), [each.error for each in workers.listing() if each.error]
    if len(names) != 1:
        reason = "; ".join(faults) or f"the package registers {', '.join(names) or 'no model'}, expected one model"
        raise UserError(f"{folder}: {reason}")
    return names[0], run.with_folders(settings, rules=None, models=(), plugins=[place])


def _package(folder: Path) -> Path:
    """Return the module of the project's entry point.

    Raises UserError.
    """
    project = folder / PROJECT
    try:
        points = tomllib.loads(project.read_text())["project"]["entry-points"][GROUP]
        module = str(next(iter(points.values()))).partition(":")[0]
    except (tomllib.TOMLDecodeError, KeyError, StopIteration, AttributeError):
        raise UserError(f'{project} names no model; add [project.entry-points.{GROUP}] with name = "module"') from None
    parts = module.split(".")
    for root in (folder, folder / "src"):
        for place in (root.joinpath(*parts), root.joinpath(*parts).with_suffix(".py")):
            if (place / "__init__.py").is_file() or (place.suffix == ".py" and place.is_file()):
                return place
    raise UserError(f"{project} names the module {module}, which is in neither {folder} nor {folder / 'src'}")
