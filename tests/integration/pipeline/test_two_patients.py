"""Two patients under one Study Instance UID: what the second one's images would start waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.dicom import read_instance
from orchestrator.domain.job import JobState
from orchestrator.domain.model import ModelDescription
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.routing import Routing
from orchestrator.pipeline.folders import Folders
from orchestrator.rules import parse_rules
from tests.data.faults import change, ct

RULES = '[[rule]]\nname = "bones"\nmodel = "bone-volume"\n\n[rule.when]\nModality = "CT"\n'
Admit = Callable[..., list[Path]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


@pytest.fixture
def queued() -> list[str]:
    return []


@pytest.fixture
def admit(ledger: Ledger, tmp_path: Path, queued: list[str]) -> Admit:
    """Return a function that lets a series of the study 1.2.3 arrive, with these attributes."""
    model = ModelDescription(name="bone-volume", version="1", digest="0" * 64)
    routing = Routing(
        ledger,
        SimpleNamespace(enqueue=lambda _flow, _key, job, **_: queued.append(job) or True),  # type: ignore[arg-type]
        runner=SimpleNamespace(models=lambda: {"bone-volume": model}),  # type: ignore[arg-type]
        rules=lambda: parse_rules(RULES),
        folders=Folders(tmp_path, tmp_path),
        observers=SimpleNamespace(series_facts=lambda _: {}),  # type: ignore[arg-type]
    )

    def arrive(name: str, **attributes: str) -> list[Path]:
        paths = ct(tmp_path / name)
        change(paths, lambda dataset: dataset.update({"StudyInstanceUID": "1.2.3", **attributes}))
        routing.admit([read_instance(path) for path in paths], source="CT1", host_facts={}, reason="test")
        return paths

    return arrive


def events(ledger: Ledger) -> list[str]:
    return [event.text for event in ledger.events.after() if event.kind == "study-of-two-patients"]


@pytest.mark.parametrize(
    "other", [{"PatientID": "PHANTOM-2"}, {"IssuerOfPatientID": "ANOTHER HOSPITAL"}], ids=lambda each: next(iter(each))
)
def test_the_jobs_of_a_second_patient_are_held_and_say_why(
    admit: Admit, ledger: Ledger, queued: list[str], other: dict[str, str]
) -> None:
    first = read_instance(admit("first")[0])
    admit("second", **other)
    second, earlier = ledger.jobs.search()
    assert (earlier.state, second.state) == (JobState.WAITING, JobState.HELD)
    assert f"series {first.series_uid} of the same study names another patient" in second.reason
    assert "orchestrator jobs retry" in second.reason
    assert len(queued) == 1
    (text,) = events(ledger)
    assert not set(other.values()) & set(text.split())


@pytest.mark.parametrize(
    "same",
    [{}, {"PatientName": "Phantom^Married"}, {"PatientID": "phantom-1 "}, {"IssuerOfPatientID": ""}, {"PatientID": ""}],
    ids=["equal", "married", "written otherwise", "no issuer", "no ID"],
)
def test_series_that_may_be_of_one_patient_run(admit: Admit, ledger: Ledger, queued: list[str], same: dict) -> None:
    admit("first", PatientID="PHANTOM-1")
    admit("second", **same)
    assert {job.state for job in ledger.jobs.search()} == {JobState.WAITING}
    assert len(queued) == 2
    assert events(ledger) == []


def test_a_series_whose_files_are_gone_is_not_compared(admit: Admit, ledger: Ledger) -> None:
    for path in admit("first"):
        path.unlink()
    admit("second", PatientID="PHANTOM-2")
    assert {job.state for job in ledger.jobs.search()} == {JobState.WAITING}


def test_an_older_revision_of_another_patient_counts_no_more(admit: Admit, ledger: Ledger) -> None:
    admit("first", PatientID="WRONG")
    admit("first")  # sent again with the right patient
    admit("second")
    assert events(ledger) == []
