"""Which models there are: each source is described by its own caged process, conflicts are refused by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.errors import ManifestError, OrchestratorError
from orchestrator.domain.model import CONTRACT, ModelDescription
from orchestrator.domain.plugin import PluginListing
from orchestrator.sdk.hookspecs import HOST_HOOKS
from orchestrator.worker.manifest.file import read_manifest
from orchestrator.worker.manifest.network import check_network
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.protocol.result import ModelSaid, PluginSaid, first_fault
from orchestrator.worker.sources.discovery import MANIFEST, ModelSource


@dataclass(frozen=True, slots=True)
class CataloguedModel:
    """A model that can be run: ``key`` is what its own process knows it by, empty while it was not asked."""

    description: ModelDescription
    source: ModelSource
    key: str
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class Described:
    """What came of describing one source. ``refused``: the models that it would have, but for the error."""

    listing: PluginListing
    models: tuple[CataloguedModel, ...] = ()
    refused: tuple[str, ...] = ()


def read_report(source: ModelSource, report: Mapping[str, Any]) -> Described:
    """Return the models of a source, as its process reported them.

    Raises ManifestError for what a report or a manifest that it names has wrong.
    """
    try:
        said = PluginSaid.model_validate(report)
    except ValidationError as invalid:
        raise ManifestError(f"{source.name} describes itself wrongly: {first_fault(invalid)}") from None
    if said.contract != CONTRACT:
        raise ManifestError(f"{source.name} speaks contract {said.contract}, this host speaks {CONTRACT}")
    if source.manifest is not None and (hooks := HOST_HOOKS.intersection(said.hooks)):
        raise ManifestError(
            f"{source.name}: the code of a model folder runs in its cage only, and {', '.join(sorted(hooks))} is for "
            "code that the host runs; put that into a plugin"
        )
    models = tuple(_model(source, model) for model in said.models)
    names = tuple(model.description.name for model in models)
    return Described(_listing(source, said.hooks, names), models)


def undescribed(source: ModelSource) -> Described:
    """Return the model of a folder from its manifest alone, for its own environment is not there to ask it."""
    manifest = source.manifest
    assert manifest is not None
    description = ModelDescription(
        **manifest.described(), digest=source.digest, runtime=manifest.runtime, origin=source.origin
    )
    return Described(_listing(source, models=(manifest.name,)), (CataloguedModel(description, source, "", manifest),))


def refused(source: ModelSource, error: OrchestratorError | str) -> Described:
    """Return the listing of a source that cannot be used, and why."""
    named = (source.manifest.name,) if source.manifest else ()
    return Described(replace(_listing(source), error=str(error)), refused=(source.name, *named))


def without_conflicts(described: Iterable[Described]) -> tuple[Described, ...]:
    """Return the sources with every model refused whose name another source has as well."""
    described = tuple(described)
    origins: dict[str, list[str]] = defaultdict(list)
    for each in described:
        for model in each.models:
            origins[model.description.name].append(each.listing.origin)
    return tuple(_without(each, {name: at for name, at in origins.items() if len(at) > 1}) for each in described)


def _without(described: Described, doubled: Mapping[str, list[str]]) -> Described:
    faults = [
        f"the model name {model.description.name!r} is used by {' and by '.join(doubled[model.description.name])}"
        for model in described.models
        if model.description.name in doubled
    ]
    if not faults:
        return described
    kept = tuple(model for model in described.models if model.description.name not in doubled)
    names = tuple(model.description.name for model in kept)
    lost = tuple(model.description.name for model in described.models if model not in kept)
    return Described(replace(described.listing, models=names, error="; ".join(faults)), kept, lost)


def _listing(source: ModelSource, hooks: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> PluginListing:
    path = str(source.file) if source.file else None
    return PluginListing(source.name, source.version, source.origin, hooks, models, path=path)


def _model(source: ModelSource, said: ModelSaid) -> CataloguedModel:
    manifest, path = _manifest(source, said)
    if said.network is not None and manifest is not None and path is not None:
        check_network(path, manifest, said.network)
    stated = said.stated()
    told = manifest.described() if manifest else {}
    for field in ("name", "version"):
        if not (field in stated or field in told):
            raise ManifestError(f"a model of {source.name} has no {field}")
        if field in stated and field in told and stated[field] != told[field]:
            raise ManifestError(f"{path} says {field} {told[field]!r}, the model's class says {stated[field]!r}")
    description = ModelDescription(
        **{**told, **stated},
        digest=source.digest,
        runtime=manifest.runtime if manifest else "python",
        origin=source.origin,
    )
    return CataloguedModel(description, source, said.key, manifest)


def _manifest(source: ModelSource, said: ModelSaid) -> tuple[Manifest | None, Path | None]:
    """Return the manifest that says the rest; only files of the source itself are read for it."""
    if said.manifest is None:
        return source.manifest, source.folders[0] / MANIFEST if source.manifest else None
    path = said.manifest.resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in source.folders):
        raise ManifestError(f"{source.name} names a manifest outside its own folder: {path}")
    manifest = read_manifest(path)
    if manifest.requirements:
        raise ManifestError(
            f"{path}: requirements are for a model folder; a plugin runs on what is installed beside it"
        )
    return manifest, path
