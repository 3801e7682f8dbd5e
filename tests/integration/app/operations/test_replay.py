"""Other rules, asked about what came: what they would do beside what was done, and what nobody can know."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.app.operations.replay import Replay, replay
from orchestrator.config import Settings
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from orchestrator.rules import parse_rules, select_ledger_facts
from tests.data.objects import write_instance
from tests.data.records import series_record

THEN = '[[rule]]\nname = "{name}"\nmodel = "bone-volume"\n\n[rule.when]\n{condition}\n\n'
OLD = parse_rules(
    THEN.format(name="ct", condition='Modality = "CT"') + THEN.format(name="mr", condition='Modality = "MR"')
)
NEW = "".join(
    THEN.format(name=name, condition=condition)
    for name, condition in (
        ("ct", 'Modality = "CT"\nBodyPartExamined = "CHEST"'),
        ("named", 'PatientName = "Doe*"'),
        ("heads", 'BodyPartExamined = "HEAD"'),
    )
)
SEEN: dict[str, Headers] = {
    "1.1": {"Modality": ("CT",), "BodyPartExamined": ("CHEST",), "PatientName": ("Doe^Jane",)},
    "1.2": {"Modality": ("CT",), "BodyPartExamined": ("HEAD",)},
    "1.3": {"Modality": ("MR",)},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "archive"
    today = f"{datetime.now():%Y%m%d}"
    path = write_instance(folder / "new.dcm", study="1.9", series="1.9.1", sop_uid="1.9.1.1")
    _dated(path, today)
    data = {"folder": str(tmp_path / "data")}
    return Settings.model_validate({"data": data, "archive": [{"name": "files", "url": folder.as_uri()}]})


def _dated(path: Path, day: str) -> None:
    dataset = dcmread(path)
    dataset.StudyDate = day
    dataset.save_as(path)


def seen(settings: Settings) -> None:
    with closing(Ledger.open(settings.data.database)) as ledger:
        for uid, facts in SEEN.items():
            ledger.series.put(series_record(series_uid=uid, first_seen=datetime.now(UTC)), ())
            ledger.series.explain(
                uid, 1, matched=True, explanation=OLD.explain(facts).to_json(), facts=select_ledger_facts(facts)
            )
        ledger.series.put(series_record(series_uid="1.4", first_seen=datetime.now(UTC)), ())
        ledger.series.explain("1.4", 1, matched=False, explanation=OLD.explain({}).to_json())


def replayed(settings: Settings, tmp_path: Path, archive: str | None = None) -> Replay:
    rules = tmp_path / "rules.toml"
    rules.write_text(NEW)
    return replay(settings, rules, days=30, archive=archive)


def test_each_rule_is_told_beside_what_was_done(settings: Settings, tmp_path: Path) -> None:
    seen(settings)
    found = replayed(settings, tmp_path)
    told = {each.rule: (each.fires, each.new, each.gone, each.open) for each in found.rules}
    assert told["ct"] == (("1.1",), (), ("1.2",), ())
    assert told["heads"] == ((), ("1.2",), (), ())
    assert told["named"] == ((), (), (), ("1.1",))
    assert told["mr"] == ((), (), ("1.3",), ())


def test_series_whose_facts_were_not_kept_are_counted(settings: Settings, tmp_path: Path) -> None:
    seen(settings)
    found = replayed(settings, tmp_path)
    assert (found.series, found.unknown) == (4, 1)


def test_an_archive_can_be_asked_instead(settings: Settings, tmp_path: Path) -> None:
    Ledger.open(settings.data.database).close()
    found = replayed(settings, tmp_path, archive="files")
    told = {each.rule: each.open for each in found.rules}
    assert found.series == 1
    assert told["ct"] == ("1.9.1",)
