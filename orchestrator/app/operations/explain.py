"""Why a series goes where it goes: the rules asked about a folder or about what was received."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from string import digits

from orchestrator.app.batch.run import newest, read_folder
from orchestrator.app.installation.connections import load_plugins, start_workers, tell_refused
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.config import Settings
from orchestrator.dicom import gather, may_be_image, read_instance
from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.series import Headers, Instance
from orchestrator.rules import Explanation, RuleSet, default_rules, load_rules


def rules_in_force(settings: Settings, file: Path | None = None) -> RuleSet:
    """Return the rules of the file, else of the settings, else the shipped ones, as the service would take them.

    Raises RulesError: for a model that is not installed and a fact that no plugin declares, too.
    """
    path = file or settings.rules.file
    if path is None:
        return default_rules()
    with closing(start_workers(settings)) as workers:
        tell_refused(workers)  # a rule may name the model that is missing for it
        facts = load_plugins(workers).facts
        return load_rules(path, models=workers.models(), extra_facts=facts)


def explain(what: str, settings: Settings, rules_file: Path | None) -> dict[str, Explanation]:
    """Return the explanation of each series of a folder, or of one series that the host has received.

    Raises UserError where it is neither, RulesError.
    """
    rules = rules_in_force(settings, rules_file)
    is_uid = bool(what) and set(what) <= set(digits + ".")
    series = {what: _received(what, settings)} if is_uid else read_folder(Path(what)).series
    return {series_uid: _explained(rules, newest(instances)) for series_uid, instances in series.items()}


def _explained(rules: RuleSet, instances: Sequence[Instance]) -> Explanation:
    facts: Headers = gather(tuple(instances)).facts
    if not any(map(may_be_image, instances)):
        facts = {**facts, "MachineWritten": ("yes",)}
    return rules.explain(facts)


def _received(series_uid: str, settings: Settings) -> list[Instance]:
    ledger = ledger_of(settings)
    try:
        record = ledger.series.find(series_uid)
        if record is None:
            raise UnknownRecord(f"{series_uid} is no series that this host has received")
        stored = ledger.series.instances(series_uid, record.revision)
    finally:
        ledger.close()
    return [read_instance(row.path) for row in stored]
