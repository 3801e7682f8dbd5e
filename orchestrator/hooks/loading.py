"""Loads host plugins one by one, so that one that is broken stops no other."""

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
    """Return a manager with every plugin that implements a hook of the host, and the listing of those.

    The listing says which hooks each has; a plugin of models alone is never imported here. One that
    cannot be loaded is listed with its error.
    built_in: the host's own plugins by name; they are asked after all others, so that theirs goes first.
    Raises PluginError or pluggy's own where one of the host's is wrong: that is our fault.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    wanted = [plugin for plugin in listing if not plugin.error and hookspecs.HOST_HOOKS.intersection(plugin.hooks)]
    outsiders = [_loaded(manager, plugin) for plugin in wanted]
    return manager, (*(_own(manager, name, plugin) for name, plugin in (built_in or {}).items()), *outsiders)


def _own(manager: pluggy.PluginManager, name: str, plugin: object) -> PluginListing:
    manager.register(plugin, name)
    _check(manager, plugin)
    hooks = sorted(caller.name for caller in manager.get_hookcallers(plugin) or ())
    return PluginListing(name, __version__, "part of the host", tuple(hooks))


def _loaded(manager: pluggy.PluginManager, listing: PluginListing) -> PluginListing:
    try:
        plugin = _imported(listing)
        manager.register(plugin, listing.name)
    except Exception as raised:  # noqa: BLE001 - code of others, which may raise anything while it is imported
        return replace(listing, error=f"{type(raised).__name__}: {raised}")
    try:
        _check(manager, plugin)
    except (PluginError, pluggy.PluginValidationError) as fault:
        manager.unregister(plugin)
        return replace(listing, error=str(fault))
    return listing


def _imported(listing: PluginListing) -> object:
    if listing.path is None:
        return load_installed(listing.name)
    return _module_in(Path(listing.path))


def _module_in(path: Path) -> ModuleType:
    name = f"orchestrator_plugin_{(path.parent if path.name == '__init__.py' else path).stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _check(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse what pluggy lets pass: a plugin without any hook, and a hook that no specification knows."""
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise PluginError("it implements no hook; is a function missing its @hookimpl?")
    unknown = sorted(caller.name for caller in callers if not caller.has_spec())
    if unknown:
        known = sorted(hookspecs.HOST_HOOKS | hookspecs.MODEL_HOOKS)
        raise PluginError(f"it implements unknown hooks {', '.join(unknown)}; known are {', '.join(known)}")
