"""Asks and tells the host plugins, each by itself: one that raises takes nothing from the others."""

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
        """Raise PluginError where two plugins declare one fact."""
        self._manager = manager
        self.listing = listing
        self._declared = self._ask_for_facts()

    @classmethod
    def load(cls, listing: Iterable[PluginListing], built_in: Mapping[str, object] | None = None) -> HostPlugins:
        """Return the host plugins among those listed; see ``listing`` for the ones that could not be loaded.

        built_in: the host's own, by name; asked after the others.
        """
        manager, loaded = load_all(listing, built_in)
        for plugin in loaded:
            if plugin.error:
                log.warning("the plugin %s (%s) is refused: %s", plugin.name, plugin.origin, plugin.error)
        return cls(manager, loaded)

    @property
    def facts(self) -> Mapping[str, str]:
        """The names of the facts that plugins add, each with its kind."""
        return {name: kind for name, (_, kind) in self._declared.items()}

    def connect_archive(self, url: str, settings: Mapping[str, Any]) -> Archive | None:
        """Return the archive that the first plugin knowing the URL's scheme gives; None where none does.

        Raises PluginError.
        """
        for plugin, archive in self._asked("connect_archive", url=url, settings=settings):
            if archive is not None:
                log.debug("the plugin %s connects an archive", plugin)
                return archive  # type: ignore[no-any-return]
        return None

    def series_facts(self, series: Series) -> Headers:
        """Return the facts that plugins add for rules.

        Raises PluginError for one that raises, gives what it did not declare, or gives no plain value.
        """
        facts: dict[str, tuple[HeaderValue, ...]] = {}
        for plugin, given in self._asked("series_facts", series=series, headers=series.facts):
            for name, value in dict(given or {}).items():
                if self._declared.get(name, ("", ""))[0] != plugin:
                    raise PluginError(f"the plugin {plugin} gives the fact {name!r}, which it does not declare")
                facts[name] = _values(plugin, name, value)
        return facts

    def extra_objects(self, job: JobRecord, result: Result, sources: Sequence[Path]) -> list[Any]:
        """Return further datasets to send with a result.

        Raises PluginError; the attempt has failed then.
        """
        given = self._asked("extra_objects", job=job, result=result, sources=sources)
        return [dataset for _, datasets in given for dataset in datasets or ()]

    def result_delivered(self, job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
        """Tell that an archive confirmed the objects; what a plugin raises is logged only."""
        self._tell("result_delivered", job=job, objects=objects)

    def review_changed(self, job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
        """Tell of a verdict; what a plugin raises is logged only."""
        self._tell("review_changed", job=job, before=before, after=after)

    def register_commands(self, cli: typer.Typer) -> None:
        """Let plugins add commands; what one raises is logged only."""
        self._tell("register_commands", cli=cli)

    def _ask_for_facts(self) -> dict[str, tuple[str, str]]:
        """Return name -> (plugin, kind)."""
        declared: dict[str, tuple[str, str]] = {}
        for plugin, facts in self._asked("declare_facts"):
            for name, kind in dict(facts or {}).items():
                if name in declared:
                    raise PluginError(f"the plugins {declared[name][0]} and {plugin} both add the fact {name!r}")
                declared[name] = (plugin, str(kind))
        return declared

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _asked(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        for implementation in self._implementations(hook):
            try:
                answer = _call(implementation, arguments)
            except OrchestratorError:
                raise
            except Exception as raised:
                raise PluginError(
                    f"the plugin {implementation.plugin_name} raised {type(raised).__name__} in {hook}"
                ) from raised
            yield implementation.plugin_name, answer

    def _tell(self, hook: str, **arguments: Any) -> None:
        for implementation in self._implementations(hook):
            try:
                _call(implementation, arguments)
            except Exception as raised:  # noqa: BLE001 - an observer's fault is its own; the job has long succeeded
                log.error("the plugin %s raised %s in %s", implementation.plugin_name, _where(raised), hook)


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    """Call with the arguments that the implementation names, as pluggy does."""
    return implementation.function(*(arguments[name] for name in implementation.argnames))


def _where(raised: Exception) -> str:
    """Return the exception's type and place; its message may hold what must not be logged."""
    frame = traceback.extract_tb(raised.__traceback__)[-1]
    return f"{type(raised).__name__} at {frame.filename}:{frame.lineno}"


def _values(plugin: str, name: str, value: Any) -> tuple[HeaderValue, ...]:
    values = tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in values):
        raise PluginError(
            f"the plugin {plugin} gives the fact {name!r} as {type(value).__name__}, expected text or numbers"
        )
    return values
