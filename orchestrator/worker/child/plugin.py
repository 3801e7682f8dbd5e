"""Loads one plugin and reports its hooks and models as JSON values."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from orchestrator.domain.model import CONTRACT
from orchestrator.sdk import Model, hookspecs

ATTRIBUTES = ("name", "version", "description", "manufacturer", "licence", "empty", "qualification", "parameters")
GROUPS = ("intended", "accepts", "resources")


class Plugin:
    """One loaded plugin: its hooks, and the models that it registered, by key."""

    def __init__(self, hooks: tuple[str, ...], models: Mapping[str, Model], manifests: Mapping[str, Path]) -> None:
        self.hooks = hooks
        self.models = models
        self._manifests = manifests

    def report(self) -> dict[str, Any]:
        """Return the report of the plugin for the host."""
        return {
            "contract": CONTRACT,
            "hooks": list(self.hooks),
            "models": [_report_model(key, model, self._manifests.get(key)) for key, model in self.models.items()],
        }


def load(plugin: Mapping[str, Any]) -> Plugin:
    """Return the plugin at ``module`` (``package.module:object``), ``file``, or the one model of a ``recipe``."""
    if "recipe" in plugin:
        model = _build_model(plugin["recipe"], Path(plugin["folder"]))
        return Plugin((), {model.name: model}, {})
    return _register(_import(plugin), str(plugin["name"]))


def _build_model(recipe: Mapping[str, Any], folder: Path) -> Model:
    """Return the model of a model.toml: a network or a bundle."""
    if recipe["runtime"] == "monai-bundle":
        from orchestrator.worker.child.monai_bundle import Bundle

        return Bundle(recipe, folder)
    from orchestrator.worker.child.network import Network

    return Network(recipe, folder)


def _import(plugin: Mapping[str, Any]) -> object:
    if "file" in plugin:
        return import_file(Path(plugin["file"]))
    module, _, attribute = plugin["module"].partition(":")
    loaded = importlib.import_module(module)
    return attrgetter(attribute)(loaded) if attribute else loaded


def import_file(path: Path) -> ModuleType:
    """Return the module of that file; it may import modules beside it."""
    sys.path.insert(0, str(path.parent))
    name = path.parent.name.replace("-", "_") if path.name == "__init__.py" else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _register(plugin: object, name: str) -> Plugin:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(plugin) or ()))
    if not hooks:
        raise LookupError("the plugin has no hook; decorate its functions with @hookimpl")
    manager.check_pending()
    models: dict[str, Model] = {}
    manifests: dict[str, Path] = {}

    def register(model: Model, manifest: Path | None = None) -> None:
        key = getattr(model, "name", None) or str(manifest)
        if key in models:
            raise ValueError(f"the plugin registers two models named {key!r}")
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"model {key!r} has no method predict(volume)")
        models[key] = model
        if manifest is not None:
            manifests[key] = Path(manifest).resolve()

    manager.hook.register_models(register=register)
    return Plugin(hooks, models, manifests)


def _report_model(key: str, model: Model, manifest: Path | None) -> dict[str, Any]:
    """Return the attributes of the model; missing ones come from the manifest or have defaults."""
    report: dict[str, Any] = {key: getattr(model, key) for key in ATTRIBUTES if hasattr(model, key)}
    if "parameters" in report:
        report["parameters"] = dict(report["parameters"])
    report |= {key: asdict(getattr(model, key)) for key in GROUPS if hasattr(model, key)}
    report["key"] = key
    report["manifest"] = None if manifest is None else str(manifest)
    if hasattr(model, "network"):
        report["network"] = model.network()
    return report
