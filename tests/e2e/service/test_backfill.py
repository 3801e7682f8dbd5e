"""An archive's past is worked off by one rule, by commands and a service that is killed in the middle."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from orchestrator.domain.fetching import BackfillState
from orchestrator.domain.job import JobState, Priority
from tests.data.series import ct_series, mr_series
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)

RULES = """
[[rule]]
name = "bones"
model = "bone-volume"

[rule.when]
Modality = "CT"

[[rule]]
name = "everything"
model = "bone-volume"
priority = "stat"

[rule.when]
Rows = { min = 1 }
"""
SERIES = 4


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """A folder with a CT of each of four days, and an MR."""
    for number in range(SERIES):
        for path in ct_series(tmp_path / f"past/ct-{number}", slices=6, seed=f"past-{number}"):
            _date(path, f"2026030{number + 1}")
    for path in mr_series(tmp_path / "past/mr", slices=2, seed="mr"):
        _date(path, "20260302")
    return tmp_path / "past"


def _date(path: Path, day: str) -> None:
    dataset = dcmread(path)
    dataset.StudyDate = day
    dataset.save_as(path)


@pytest.fixture
def host(tmp_path: Path, past: Path) -> Iterator[Service]:
    (tmp_path / "rules.toml").write_text(RULES)
    rest = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n[[archive]]\nname = "past"\nurl = "{past.as_uri()}"\n\n'
    with service(tmp_path / "host", rest=rest + destination(past.as_uri(), "past")) as made:
        yield made


def backfill(host: Service, *arguments: str) -> Any:
    ended = run_command("backfill", *arguments, "--settings", host.settings)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout) if "--json" in arguments else ended.stdout


def test_a_backfill_survives_kill_9_and_gives_each_series_one_result(past: Path, host: Service) -> None:
    host.start()
    host.ready()
    ordered = ("--rule", "bones", "--archive", "past", "--from", "2026-03-01", "--to", "2026-03-04")
    number = backfill(host, *ordered, "--json")["number"]
    wait_for(lambda: host.jobs(), "the first series is here")
    host.kill_all()
    host.start()
    with closing(host.ledger()) as ledger:
        wait_for(lambda: ledger.backfills.get(number).state is BackfillState.DONE, "the backfill is done")
    shown = backfill(host, "show", str(number), "--json")
    assert shown["progress"]["fetches"] == {"done": SERIES}
    assert (shown["progress"]["days"], shown["share"]) == (SERIES, 1.0)
    jobs = host.jobs()
    assert {(job.rule, job.priority, job.state) for job in jobs} == {("bones", Priority.BACKFILL, JobState.DONE)}
    assert len(jobs) == SERIES
    assert modalities(past) == {"CT": SERIES, "MR": 1, "SEG": SERIES, "SR": SERIES}


def modalities(folder: Path) -> Counter[str]:
    """Return how many series of each modality the folder holds."""
    series = {dcmread(path, stop_before_pixels=True).SeriesInstanceUID: path for path in folder.rglob("*.dcm")}
    return Counter(dcmread(path, stop_before_pixels=True).Modality for path in series.values())
