"""Why a series goes where it goes: the rules asked about a folder or about what was received."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.app.running import newest, read_folder
from orchestrator.config import Settings
from orchestrator.dicom import gather, may_be_image, read_instance
from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.series import Headers, Instance
from orchestrator.jobs import Ledger
from orchestrator.rules import Explanation, RuleSet, default_rules, load_rules


def explain(what: str, settings: Settings, rules_file: Path | None) -> dict[str, Explanation]:
    """Return the explanation of each series of a folder, or of one series that the host has received.

    Raises UnknownRecord, RulesError.
    """
    path = rules_file or settings.rules.file
    rules = load_rules(path) if path else default_rules()
    folder = Path(what)
    series = read_folder(folder).series if folder.exists() else {what: _received(what, settings)}
    return {series_uid: _explained(rules, newest(instances)) for series_uid, instances in series.items()}


def _explained(rules: RuleSet, instances: Sequence[Instance]) -> Explanation:
    facts: Headers = gather(tuple(instances)).facts
    if not any(map(may_be_image, instances)):
        facts = {**facts, "MachineWritten": ("yes",)}
    return rules.explain(facts)


def _received(series_uid: str, settings: Settings) -> list[Instance]:
    ledger = Ledger.open(settings.data.database)
    try:
        record = ledger.series(series_uid)
        if record is None:
            raise UnknownRecord(f"{series_uid} is no folder here and no series that this host has received")
        stored = ledger.series_instances(series_uid, record.revision)
    finally:
        ledger.close()
    return [read_instance(row.path) for row in stored]
