"""Loads host plugins one by one, so that a broken plugin does not stop the others."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pluggy

from orchestrator import __version__
from orchestrator.domain.errors import PluginError
from orchestrator.domain.plugin import PluginListing
from orchestrator.sdk import hookspecs
from orchestrator.sdk.entry_points import load_installed


def load_all(
    listing: Iterable[PluginListing], built_in: Mapping[str, object] | None = None
) -> tuple[pluggy.PluginManager, tuple[PluginListing, ...]]:
    """Return a manager with every plugin that implements a hook of the host, and the listing of these plugins.

    A plugin that fails to load is listed with its error. A plugin with model hooks only is never imported here.
    built_in: plugins of the host itself, by name; plugins of others take precedence.
    Raises PluginError, or an error of pluggy, for a faulty plugin of the host itself.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    selection = [plugin for plugin in listing if not plugin.error and hookspecs.HOST_HOOKS.intersection(plugin.hooks)]
    outsiders = [_load(manager, plugin) for plugin in selection]
    return manager, (*(_register_own(manager, name, plugin) for name, plugin in (built_in or {}).items()), *outsiders)


def _register_own(manager: pluggy.PluginManager, name: str, plugin: object) -> PluginListing:
    manager.register(plugin, name)
    _check(manager, plugin)
    hooks = sorted(caller.name for caller in manager.get_hookcallers(plugin) or ())
    return PluginListing(name, __version__, "part of the host", tuple(hooks))


def _load(manager: pluggy.PluginManager, listing: PluginListing) -> PluginListing:
    try:
        plugin = _import(listing)
        manager.register(plugin, listing.name)
    except Exception as raised:  # noqa: BLE001 - the import runs code of others, which may raise anything
        return replace(listing, error=f"{type(raised).__name__}: {raised}")
    try:
        _check(manager, plugin)
    except (PluginError, pluggy.PluginValidationError) as fault:
        manager.unregister(plugin)
        return replace(listing, error=str(fault))
    return listing


def _import(listing: PluginListing) -> object:
    if listing.path is None:
        return load_installed(listing.name)
    return _import_file(Path(listing.path))


def _import_file(path: Path) -> ModuleType:
    name = f"orchestrator_plugin_{(path.parent if path.name == '__init__.py' else path).stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _check(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse a plugin without hooks, and unknown hooks; pluggy accepts both."""
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise PluginError("the plugin has no hook; decorate its functions with @hookimpl")
    unknown = sorted(caller.name for caller in callers if not caller.has_spec())
    if unknown:
        known = sorted(hookspecs.HOST_HOOKS | hookspecs.MODEL_HOOKS)
        raise PluginError(f"unknown hooks {', '.join(unknown)}; the hooks are {', '.join(known)}")
