"""``orchestrator rules``: check a rules file, explain a decision, replay other rules."""

from __future__ import annotations

import json as jsons
import re
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app.installation.settings import settings_of
from orchestrator.app.operations import explain as explanations
from orchestrator.app.operations.explain import SeriesExplanation
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, console, table
from orchestrator.domain.errors import UserError

commands = typer.Typer(help="Rules: which series go to which models, and why.", no_args_is_help=True)
RulesFile = Annotated[Path | None, typer.Option("--rules", help="Rules file instead of that of the settings.")]


@commands.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Rules file; that of the settings if not given.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Check a rules file and list all its faults with their lines."""
    effective = settings_of(settings)
    rules = explanations.rules_in_force(effective, file)
    console.print(
        f"{file or effective.rules.file or 'the shipped rules'}: {len(rules.rules)} rules, no fault", markup=False
    )
    for rule in rules.rules:
        goes_to = "held for a person" if rule.hold else ", ".join(rule.models)
        console.print(f"  {rule.name}  ->  {goes_to}  ({rule.priority})", markup=False)


@commands.command()
def explain(
    what: Annotated[str, typer.Argument(help="Folder of DICOM files, or a Series Instance UID the host has received.")],
    rules: RulesFile = None,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Show for each rule and condition which value was found, and why the rule matches or not.

    For a received series this is the decision of the host, and what the rules say now if they say something else.
    """
    explained = explanations.explain(what, settings_of(settings), rules)
    if json:
        as_json({series_uid: _tree(item) for series_uid, item in explained.items()})
        return
    for series_uid, item in explained.items():
        console.print(f"\nseries {series_uid}", style="bold", markup=False)
        _print_explanation(item)


def _tree(item: SeriesExplanation) -> dict[str, object]:
    """Return the explanation as JSON objects: the decision, and what the rules say now where that differs."""
    tree: dict[str, object] = jsons.loads(item.explanation.to_json(hide_identity=False))
    tree["written_here"] = item.written_here
    if item.record is not None:
        tree |= {"revision": item.record.revision, "only_rule": item.only_rule, "unknown": list(item.unknown)}
        tree["now"] = jsons.loads(item.now.to_json(hide_identity=False)) if item.now else None
    return tree


def _print_explanation(item: SeriesExplanation) -> None:
    if item.record is not None:
        when = item.record.first_seen.astimezone()
        source = item.record.source or "an unknown source"
        console.print(f"revision {item.record.revision}, received from {source}, {when:%Y-%m-%d %H:%M}", markup=False)
    if item.written_here:
        console.print("this host wrote these objects", markup=False)
    if item.only_rule:
        console.print(f"fetched by a backfill: only the rule {item.only_rule!r} counted", markup=False)
    console.print(item.explanation.text(hide_identity=False), markup=False)
    if item.now is not None:
        console.print("\nThe rules or the plugins changed since. They say now:", style="bold", markup=False)
        console.print(item.now.text(hide_identity=False), markup=False)
    if item.unknown:
        names = ", ".join(item.unknown)
        text = f"The rules changed since. What they say now is unknown: no values are left of {names}."
        console.print(f"\n{text}", markup=False)


@commands.command()
def replay(
    since: Annotated[str, typer.Option(help="How far back, as in 30d.")] = "30d",
    rules: RulesFile = None,
    archive: Annotated[str | None, typer.Option(help="Ask this archive by study date, not the ledger.")] = None,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Show what a rules file would do with the series of the last days, beside what was done."""
    from orchestrator.app.operations.replay import replay as replay_rules

    found = replay_rules(settings_of(settings), rules, days=_days(since), archive=archive)
    if json:
        as_json(found)
        return
    rows = [[each.rule, *(len(uids) for uids in (each.fires, each.new, each.gone, each.open))] for each in found.rules]
    table(["rule", "still matches", "would match", "would no longer match", "unknown"], rows, empty="no rules")
    unknown = f", {found.unknown} of them without facts (received by an older version)" if found.unknown else ""
    console.print(f"{found.series} series{unknown}; --json names them", markup=False)


def _days(since: str) -> int:
    """Return the days that a text such as 30d names.

    Raises UserError.
    """
    written = re.fullmatch(r"(\d{1,4})d", since)
    if written is None:
        raise UserError(f"{since!r} is not a number of days; write 30d for 30 days")
    return int(written[1])
