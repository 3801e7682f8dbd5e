"""Replays rules: what they would do with the series of the last days, beside what was done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from orchestrator.app.installation.connections import find_searchable, load_plugins, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.operations.explain import rules_in_force
from orchestrator.config import Settings
from orchestrator.domain.clock import utc_now
from orchestrator.domain.ports import FoundSeries, Searchable
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from orchestrator.rules import Explanation, LedgerFacts, Rule, RuleSet, Ternary, evaluate, evaluate_from_ledger


@dataclass(frozen=True, slots=True)
class RuleReplay:
    """What one rule would do, by Series Instance UID; each series is in one list at most.

    fires: it matched and still would. new: it did not match and now would. gone: it matched and no longer would.
    open: the value that decides is not known.
    """

    rule: str
    fires: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the rules of a file would do. unknown: number of series of which the ledger keeps no facts."""

    series: int
    unknown: int
    rules: tuple[RuleReplay, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One series: the rules that matched then, and what a rule says now."""

    series_uid: str
    matched: frozenset[str]
    evaluate: Callable[[Rule], Ternary]


def replay(settings: Settings, rules_file: Path | None, *, days: int, archive: str | None = None) -> Replay:
    """Return what the rules would do with the series of the last days.

    archive: ask this archive by study date instead of the ledger; its answers hold less than the images do.
    Raises RulesError, UserError, ArchiveUnavailable, ArchiveRefused.
    """
    rules = rules_in_force(settings, rules_file)
    with closing(ledger_of(settings)) as ledger:
        if archive is None:
            return _replay(rules, *_received(ledger, days))
        return _replay(rules, list(_held(ledger, settings, archive, days)), unknown=0)


def _received(ledger: Ledger, days: int) -> tuple[list[_Case], int]:
    """Return the series received in the last days, and the number of those without facts in the ledger."""
    series = list(ledger.series.routed(utc_now() - timedelta(days=days)))
    cases = [_case(each.series_uid, each.explanation, each.facts) for each in series if each.facts is not None]
    return cases, len(series) - len(cases)


def _case(series_uid: str, explanation: str, facts: LedgerFacts) -> _Case:
    return _Case(series_uid, _matched(explanation), lambda rule: evaluate_from_ledger(rule, facts))


def _held(ledger: Ledger, settings: Settings, name: str, days: int) -> Iterator[_Case]:
    with closing(start_workers(settings)) as workers:
        archive, _ = find_searchable(settings, load_plugins(workers), name)
    for series in _found(archive, days):
        record = ledger.series.find(series.series_uid)
        matched = _matched(record.explanation if record is not None else "")
        yield _Case(series.series_uid, matched, partial(_evaluate, headers={**series.headers, "Source": (name,)}))


def _evaluate(rule: Rule, *, headers: Headers) -> Ternary:
    """Return what a rule says of an archive's answer; None where the answer does not tell."""
    return evaluate(rule, headers, lambda keyword: any(str(value).strip() for value in headers.get(keyword, ())))


def _found(archive: Searchable, days: int) -> Iterator[FoundSeries]:
    """Yield the series of the last days' studies, day by day: few archives answer for a month at once."""
    today = utc_now().astimezone().date()
    for number in range(days + 1):
        yield from archive.find({"StudyDate": f"{today - timedelta(days=number):%Y%m%d}"})


def _matched(explanation: str) -> frozenset[str]:
    """Return the names of the rules that matched, from the JSON that the ledger keeps."""
    return frozenset(Explanation.from_json(explanation).matches) if explanation else frozenset()


def _replay(rules: RuleSet, cases: Collection[_Case], unknown: int) -> Replay:
    before = frozenset[str]().union(*(case.matched for case in cases))
    removed = sorted(before - {rule.name for rule in rules.rules})
    replays = [_rule(rule, cases) for rule in rules.rules]
    replays += [_removed(name, cases) for name in removed]
    return Replay(len(cases) + unknown, unknown, tuple(replays))


def _rule(rule: Rule, cases: Collection[_Case]) -> RuleReplay:
    lists: dict[str, list[str]] = {"fires": [], "new": [], "gone": [], "open": []}
    for case in cases:
        did, would = rule.name in case.matched, case.evaluate(rule)
        if would is None:
            lists["open"].append(case.series_uid)
        elif would or did:
            lists["gone" if not would else "fires" if did else "new"].append(case.series_uid)
    return RuleReplay(rule.name, **{name: tuple(uids) for name, uids in lists.items()})


def _removed(name: str, cases: Collection[_Case]) -> RuleReplay:
    gone = tuple(case.series_uid for case in cases if name in case.matched)
    return RuleReplay(name, (), (), gone, ())
