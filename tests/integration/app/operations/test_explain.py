"""What was decided about a received series, with the facts that the service used, and what the rules say now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.installation import host as hosting
from orchestrator.app.operations.explain import SeriesExplanation, explain
from orchestrator.config import Settings
from orchestrator.dicom import read_instance
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from tests.data.records import add_jobs, job_record, object_record
from tests.data.series import ct_series

PLUGIN = '''
"""Facts that only a plugin knows."""
from orchestrator.sdk import hookimpl


@hookimpl
def declare_facts():
    return {"Ward": "text"}


@hookimpl
def series_facts(series, headers):
    return {"Ward": "ICU"}
'''
RULE = '[[rule]]\nname = "{name}"\nhold = true\n\n[rule.when]\n{condition}\n\n'
CONDITIONS = {
    "sender": 'CallingAETitle = "CT1"',
    "called": 'CalledAETitle = "AI"',
    "source": 'Source = "receiver"',
    "ward": 'Ward = "ICU"',
    "person": 'PatientID = "*"',
    "other sender": 'CallingAETitle = "CT2"',
}
WAY: Headers = {"Source": ("receiver",), "CallingAETitle": ("CT1",), "CalledAETitle": ("AI",)}


def write_rules(folder: Path, **conditions: str) -> None:
    text = "".join(RULE.format(name=name, condition=condition) for name, condition in conditions.items())
    (folder / "rules.toml").write_text(text)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "wards.py").write_text(PLUGIN)
    write_rules(tmp_path, **CONDITIONS)
    return Settings.model_validate(
        {
            "data": {"folder": str(tmp_path / "data")},
            "models": {"plugins": [str(tmp_path / "plugins")]},
            "rules": {"file": str(tmp_path / "rules.toml")},
        }
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return ct_series(tmp_path / "ct", slices=3)


@pytest.fixture
def series_uid(settings: Settings, files: list[Path]) -> str:
    """A series that the host routed as one that came from CT1."""
    instances = [read_instance(path) for path in files]
    with hosting.opened(settings, {}) as host:
        host.routing.admit(instances, source="receiver", host_facts=WAY, reason="test")
    return instances[0].series_uid


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(Ledger.open(settings.data.database)) as ledger:
        yield ledger


def explained(settings: Settings, series_uid: str) -> SeriesExplanation:
    return explain(series_uid, settings, None)[series_uid]


def test_a_decision_is_explained_with_the_facts_that_routing_used(settings: Settings, series_uid: str) -> None:
    found = explained(settings, series_uid)
    assert found.explanation.matches == ("sender", "called", "source", "ward", "person")
    assert found.now is None


def test_a_person_sees_values_that_the_ledger_does_not_keep(settings: Settings, series_uid: str) -> None:
    assert "(hidden)" not in explained(settings, series_uid).explanation.text(hide_identity=False)


def test_where_the_rules_changed_both_answers_are_given(settings: Settings, series_uid: str, tmp_path: Path) -> None:
    write_rules(tmp_path, sender='CallingAETitle = "CT2"', person='PatientID = "*"', ward='Ward = "ICU"')
    found = explained(settings, series_uid)
    assert found.explanation.matches == ("sender", "called", "source", "ward", "person")
    assert found.now is not None
    assert found.now.matches == ("person", "ward")


def test_where_the_files_are_gone_the_decision_stays(settings: Settings, series_uid: str, files: list[Path]) -> None:
    for file in files:
        file.unlink()
    found = explained(settings, series_uid)
    assert found.explanation.matches == ("sender", "called", "source", "ward", "person")
    assert (found.now, found.unknown) == (None, ("PatientID", "Ward"))


def test_rules_that_need_nothing_that_is_gone_are_asked_all_the_same(
    settings: Settings, series_uid: str, files: list[Path], tmp_path: Path
) -> None:
    for file in files:
        file.unlink()
    write_rules(tmp_path, sender='CallingAETitle = "CT1"')
    found = explained(settings, series_uid)
    assert found.now is not None
    assert found.now.matches == ("sender",)


def test_a_folder_is_asked_about_with_the_facts_of_plugins(
    settings: Settings, series_uid: str, files: list[Path]
) -> None:
    found = explain(str(files[0].parent), settings, None)[series_uid]
    assert found.explanation.matches == ("ward", "person")


def test_what_this_host_wrote_is_explained_as_such(settings: Settings, files: list[Path], ledger: Ledger) -> None:
    instances = [read_instance(path) for path in files]
    add_jobs(ledger, job_record())
    ledger.objects.put(job_record().key, [object_record(sop_uid=instances[0].sop_uid)])
    with hosting.opened(settings, {}) as host:
        host.routing.admit(instances, source="receiver", host_facts=WAY, reason="test")
    uid = instances[0].series_uid
    for found in (explained(settings, uid), explain(str(files[0].parent), settings, None)[uid]):
        assert found.written_here
        assert found.explanation.exclusion.startswith("This host or another AI wrote these objects")
        assert not found.explanation.matched
