"""Builds the catalogue of models from the reports of their caged processes, and refuses models with equal names."""

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
from orchestrator.worker.protocol.result import ModelReport, PluginReport, first_fault
from orchestrator.worker.sources.discovery import MANIFEST, ModelSource


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model that can run. ``key``: its name inside its own process, empty until that process was asked."""

    description: ModelDescription
    source: ModelSource
    key: str
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The models of one source. ``refused``: names of models that the source lacks because of an error."""

    listing: PluginListing
    models: tuple[CatalogueEntry, ...] = ()
    refused: tuple[str, ...] = ()


def read_report(source: ModelSource, report: Mapping[str, Any]) -> SourceDescription:
    """Return the models of a source from the report of its process.

    Raises ManifestError for a faulty report or manifest.
    """
    try:
        plugin = PluginReport.model_validate(report)
    except ValidationError as invalid:
        raise ManifestError(f"the report of {source.name} is not valid: {first_fault(invalid)}") from None
    if plugin.contract != CONTRACT:
        raise ManifestError(f"{source.name} uses contract version {plugin.contract}, this host uses {CONTRACT}")
    if source.manifest is not None and (hooks := HOST_HOOKS.intersection(plugin.hooks)):
        raise ManifestError(
            f"{source.name}: code of a model folder runs in its cage only, but {', '.join(sorted(hooks))} must run in "
            "the host; move this hook to a plugin"
        )
    models = tuple(_model(source, model) for model in plugin.models)
    names = tuple(model.description.name for model in models)
    return SourceDescription(_listing(source, plugin.hooks, names), models)


def describe_from_manifest(source: ModelSource) -> SourceDescription:
    """Return the model of a folder from its manifest, while its environment is not installed."""
    manifest = source.manifest
    assert manifest is not None
    description = ModelDescription(
        **manifest.described(), digest=source.digest, runtime=manifest.runtime, origin=source.origin
    )
    return SourceDescription(
        _listing(source, models=(manifest.name,)), (CatalogueEntry(description, source, "", manifest),)
    )


def refuse(source: ModelSource, error: OrchestratorError | str) -> SourceDescription:
    """Return the description of a source that cannot be used because of the error."""
    names = (source.manifest.name,) if source.manifest else ()
    return SourceDescription(replace(_listing(source), error=str(error)), refused=(source.name, *names))


def refuse_conflicts(sources: Iterable[SourceDescription]) -> tuple[SourceDescription, ...]:
    """Return the sources without the models whose name occurs in several sources."""
    sources = tuple(sources)
    origins: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        for model in source.models:
            origins[model.description.name].append(source.listing.origin)
    conflicts = {name: places for name, places in origins.items() if len(places) > 1}
    return tuple(_remove_conflicts(source, conflicts) for source in sources)


def _remove_conflicts(source: SourceDescription, conflicts: Mapping[str, list[str]]) -> SourceDescription:
    refusals = tuple(model.description.name for model in source.models if model.description.name in conflicts)
    if not refusals:
        return source
    models = tuple(model for model in source.models if model.description.name not in conflicts)
    names = tuple(model.description.name for model in models)
    error = "; ".join(f"{' and '.join(conflicts[name])} both have a model named {name!r}" for name in refusals)
    return SourceDescription(replace(source.listing, models=names, error=error), models, refusals)


def _listing(source: ModelSource, hooks: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> PluginListing:
    path = str(source.file) if source.file else None
    return PluginListing(source.name, source.version, source.origin, hooks, models, path=path)


def _model(source: ModelSource, report: ModelReport) -> CatalogueEntry:
    manifest, path = _manifest(source, report)
    if report.network is not None and manifest is not None and path is not None:
        check_network(path, manifest, report.network)
    attributes = report.attributes()
    keys = manifest.described() if manifest else {}
    for field in ("name", "version"):
        if not (field in attributes or field in keys):
            raise ManifestError(f"a model of {source.name} has no {field}; set it in its class or its model.toml")
        if field in attributes and field in keys and attributes[field] != keys[field]:
            raise ManifestError(
                f"{path} has {field} {keys[field]!r}, but the model's class has {attributes[field]!r}; make them equal"
            )
    description = ModelDescription(
        **{**keys, **attributes},
        digest=source.digest,
        runtime=manifest.runtime if manifest else "python",
        origin=source.origin,
    )
    return CatalogueEntry(description, source, report.key, manifest)


def _manifest(source: ModelSource, report: ModelReport) -> tuple[Manifest | None, Path | None]:
    """Return the manifest and its path; the manifest must be a file of the source itself."""
    if report.manifest is None:
        return source.manifest, source.folders[0] / MANIFEST if source.manifest else None
    path = report.manifest.resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in source.folders):
        raise ManifestError(f"the manifest {path} lies outside the folder of {source.name}; move it there")
    manifest = read_manifest(path)
    if manifest.requirements:
        raise ManifestError(f"{path}: only a model folder may have requirements; declare them in the plugin's package")
    return manifest, path
