"""Explains why rules match a series: of a folder, or as the host decided when it received the series."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import digits

from orchestrator.app.batch.run import read_folder, select_newest
from orchestrator.app.installation.connections import load_plugins, log_refused_plugins, start_workers
from orchestrator.app.installation.ledger import ledger_exists, ledger_of
from orchestrator.config import Settings
from orchestrator.database import database_faults
from orchestrator.dicom import gather
from orchestrator.domain.errors import PluginError, UnknownRecord, UnreadableFile
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Headers, HeaderValue, Instance, Series
from orchestrator.hooks import HostPlugins
from orchestrator.ledger import Ledger, StoredInstance
from orchestrator.pipeline.arrival.facts import facts_of_series
from orchestrator.pipeline.jobs.source_files import read_source
from orchestrator.rules import Explanation, RuleSet, default_rules, load_rules
from orchestrator.worker import Workers


@dataclass(frozen=True, slots=True)
class SeriesExplanation:
    """Why rules matched a series or not.

    explanation: what the host decided about a series that it received; of a folder, what the rules say.
    written_here: whether this host wrote objects of the series.
    record: the revision that the decision is about, None for a folder.
    only_rule: the rule of the backfill that fetched the series; no other rule counted then.
    now: what the rules say now, None where they say the same or nobody knows.
    unknown: keywords of the rules whose values nobody knows any more, so that ``now`` is not known either.
    """

    explanation: Explanation
    written_here: bool = False
    record: SeriesRecord | None = None
    only_rule: str = ""
    now: Explanation | None = None
    unknown: tuple[str, ...] = ()


def rules_in_force(settings: Settings, file: Path | None = None) -> RuleSet:
    """Return the rules of the file, else of the settings, else the shipped ones, as the service would load them.

    Raises RulesError: for a model that is not installed and a fact that no plugin declares, too.
    """
    if file is None and settings.rules.file is None:
        return default_rules()
    with closing(start_workers(settings)) as workers:
        return _load_rules(settings, file, workers, load_plugins(workers))


def explain(what: str, settings: Settings, rules_file: Path | None) -> dict[str, SeriesExplanation]:
    """Return the explanation of each series of a folder, or of one series that the host has received.

    Raises UserError where it is neither, RulesError, PluginError.
    """
    is_uid = bool(what) and set(what) <= set(digits + ".")
    folder = {} if is_uid else read_folder(Path(what)).series
    with database_faults(), closing(start_workers(settings)) as workers, _ledger(settings, needed=is_uid) as ledger:
        plugins = load_plugins(workers)
        rules = _load_rules(settings, rules_file, workers, plugins)
        if is_uid and ledger is not None:
            return {what: _explain_received(what, rules, plugins, ledger)}
        return {
            series_uid: _explain_files(select_newest(instances), rules, plugins, ledger)
            for series_uid, instances in folder.items()
        }


def _load_rules(settings: Settings, file: Path | None, workers: Workers, plugins: HostPlugins) -> RuleSet:
    path = file or settings.rules.file
    if path is None:
        return default_rules()
    log_refused_plugins(workers)  # a rule may name the model that is missing for it
    return load_rules(path, models=workers.models(), extra_facts=plugins.facts)


@contextmanager
def _ledger(settings: Settings, *, needed: bool) -> Iterator[Ledger | None]:
    """Give the ledger, None where there is none and a folder can be explained without it."""
    if not needed and not ledger_exists(settings):
        yield None
        return
    with closing(ledger_of(settings)) as ledger:
        yield ledger


def _explain_files(
    instances: Collection[Instance], rules: RuleSet, plugins: HostPlugins, ledger: Ledger | None
) -> SeriesExplanation:
    explanation = rules.explain(_facts(gather(instances), plugins, ledger))
    return SeriesExplanation(explanation, bool(_own_objects(ledger)([each.sop_uid for each in instances])))


def _facts(series: Series, plugins: HostPlugins, ledger: Ledger | None) -> Headers:
    return facts_of_series(series, plugin_facts=plugins.series_facts, own_objects=_own_objects(ledger))


def _own_objects(ledger: Ledger | None) -> Callable[[Collection[str]], Collection[str]]:
    """Return what names those of some SOP Instance UIDs that this host wrote; none without a ledger."""
    return ledger.objects.known if ledger else lambda _: ()


def _explain_received(series_uid: str, rules: RuleSet, plugins: HostPlugins, ledger: Ledger) -> SeriesExplanation:
    """Return the decision that the ledger keeps, and what the rules say now where that differs."""
    record = ledger.series.find(series_uid)
    if record is None:
        raise UnknownRecord(f"this host has received no series {series_uid}")
    rows = ledger.series.instances(series_uid, record.revision)
    stored, present = ledger.series.facts(series_uid, record.revision), _read(rows, record)
    facts = {**_present_facts(present, record, stored, plugins, ledger), **_known(stored or {})}
    now = rules.explain(facts)
    unknown = (set(stored) if stored is not None else set() if present else now.keywords) - set(facts)
    fetch = ledger.fetches.of_series(record.source, series_uid)
    explained = SeriesExplanation(
        now,
        bool(ledger.objects.known([row.sop_uid for row in rows])),
        record,
        only_rule=fetch.rule if fetch else "",
    )
    if not record.explanation or _is_same(record.explanation, now):
        return explained
    missing = tuple(sorted(unknown & now.keywords))
    decision = Explanation.from_json(record.explanation)
    return replace(explained, explanation=decision, now=None if missing else now, unknown=missing)


def _known(stored: Mapping[str, Sequence[HeaderValue] | None]) -> Headers:
    """Return the facts whose values the ledger keeps; it keeps none that may identify a person."""
    return {keyword: tuple(values) for keyword, values in stored.items() if values is not None}


def _read(rows: Sequence[StoredInstance], record: SeriesRecord) -> tuple[Instance, ...]:
    """Return the instances of a revision; none where a file is gone."""
    try:
        return tuple(read_source(row, record) for row in rows)
    except UnreadableFile:
        return ()


def _present_facts(
    instances: Collection[Instance],
    record: SeriesRecord,
    stored: Mapping[str, Sequence[HeaderValue] | None] | None,
    plugins: HostPlugins,
    ledger: Ledger,
) -> Headers:
    """Return the facts as files and plugins state them now; none where the files are gone.

    How the series came is a fact of the past: the ledger keeps it. Only its source is known of an older version's.
    """
    if not instances:
        return {}
    source = {"Source": (record.source,)} if stored is None and record.source else {}
    series = gather(instances, revision=record.revision, host_facts=source)
    try:
        return _facts(series, plugins, ledger)
    except PluginError:
        return series.facts


def _is_same(stored: str, now: Explanation) -> bool:
    return bool(json.loads(stored) == json.loads(now.to_json(hide_identity=True)))
