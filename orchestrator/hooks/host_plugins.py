"""Calls the hooks of the host plugins one by one, so that an error in one plugin does not affect the others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from orchestrator.domain.errors import OrchestratorError, PluginError
from orchestrator.domain.plugin import PluginListing
from orchestrator.domain.ports import Archive
from orchestrator.domain.records import JobRecord, ObjectRecord, ReviewRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Headers, HeaderValue, Series
from orchestrator.hooks.loading import load_all

if TYPE_CHECKING:
    import typer

log = logging.getLogger(__name__)


class HostPlugins:
    """All host plugins of one installation."""

    def __init__(self, manager: pluggy.PluginManager, listing: tuple[PluginListing, ...]) -> None:
        """Raise PluginError if two plugins declare the same fact."""
        self._manager = manager
        self.listing = listing
        self._facts = self._collect_facts()

    @classmethod
    def load(cls, listing: Iterable[PluginListing], built_in: Mapping[str, object] | None = None) -> HostPlugins:
        """Return the host plugins of the listing. Their own ``listing`` gives the error of each that failed to load.

        built_in: plugins of the host itself, by name; plugins of others take precedence.
        """
        manager, plugins = load_all(listing, built_in)
        for plugin in plugins:
            if plugin.error:
                log.warning("plugin %s (%s) not loaded: %s", plugin.name, plugin.origin, plugin.error)
        return cls(manager, plugins)

    @property
    def facts(self) -> Mapping[str, str]:
        """The facts of plugins: name -> kind."""
        return {name: kind for name, (_, kind) in self._facts.items()}

    def connect_archive(self, url: str, settings: Mapping[str, Any]) -> Archive | None:
        """Return the archive from the first plugin that knows the URL's scheme, None where no plugin does.

        Raises PluginError.
        """
        for plugin, archive in self._call_each("connect_archive", url=url, settings=settings):
            if archive is not None:
                log.debug("plugin %s connected an archive", plugin)
                return archive  # type: ignore[no-any-return]
        return None

    def series_facts(self, series: Series) -> Headers:
        """Return the facts of plugins for rules.

        Raises PluginError if a plugin raises, returns an undeclared fact, or a value that is neither text nor number.
        """
        facts: dict[str, tuple[HeaderValue, ...]] = {}
        for plugin, answer in self._call_each("series_facts", series=series, headers=series.facts):
            for name, value in dict(answer or {}).items():
                if self._facts.get(name, ("", ""))[0] != plugin:
                    raise PluginError(f"plugin {plugin} returned the fact {name!r}, which it does not declare")
                facts[name] = _check_values(plugin, name, value)
        return facts

    def extra_objects(self, job: JobRecord, result: Result, sources: Sequence[Path]) -> list[Any]:
        """Return additional datasets to send with a result.

        Raises PluginError; the attempt then fails.
        """
        answers = self._call_each("extra_objects", job=job, result=result, sources=sources)
        return [dataset for _, datasets in answers for dataset in datasets or ()]

    def result_delivered(self, job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
        """Notify plugins that an archive confirmed the objects; errors of plugins are only logged."""
        self._notify("result_delivered", job=job, objects=objects)

    def review_changed(self, job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
        """Notify plugins of a verdict; errors of plugins are only logged."""
        self._notify("review_changed", job=job, before=before, after=after)

    def register_commands(self, cli: typer.Typer) -> None:
        """Let plugins add commands; errors of plugins are only logged."""
        self._notify("register_commands", cli=cli)

    def _collect_facts(self) -> dict[str, tuple[str, str]]:
        """Return name -> (plugin, kind)."""
        owners: dict[str, tuple[str, str]] = {}
        for plugin, facts in self._call_each("declare_facts"):
            for name, kind in dict(facts or {}).items():
                if name in owners:
                    raise PluginError(f"plugins {owners[name][0]} and {plugin} both declare the fact {name!r}")
                owners[name] = (plugin, str(kind))
        return owners

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _call_each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        for implementation in self._implementations(hook):
            try:
                answer = _call(implementation, arguments)
            except OrchestratorError:
                raise
            except Exception as raised:
                raise PluginError(
                    f"plugin {implementation.plugin_name} raised {type(raised).__name__} in {hook}"
                ) from raised
            yield implementation.plugin_name, answer

    def _notify(self, hook: str, **arguments: Any) -> None:
        for implementation in self._implementations(hook):
            try:
                _call(implementation, arguments)
            except Exception as raised:  # noqa: BLE001 - an observer never affects the job, which is done already
                log.error("plugin %s raised %s in %s; ignored", implementation.plugin_name, _describe(raised), hook)


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    """Call the implementation with the arguments that it names, as pluggy does."""
    return implementation.function(*(arguments[name] for name in implementation.argnames))


def _describe(raised: Exception) -> str:
    """Return type and place of the exception, without its message, which may contain patient data."""
    frame = traceback.extract_tb(raised.__traceback__)[-1]
    return f"{type(raised).__name__} at {frame.filename}:{frame.lineno}"


def _check_values(plugin: str, name: str, value: Any) -> tuple[HeaderValue, ...]:
    values = tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in values):
        raise PluginError(
            f"plugin {plugin} returned the fact {name!r} as {type(value).__name__}, expected text or numbers"
        )
    return values
