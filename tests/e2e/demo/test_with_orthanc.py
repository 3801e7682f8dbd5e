"""make demo ARCHIVE=orthanc ONCE=1, as its user runs it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.demo.orthanc_server import run_orthanc
from orchestrator.archive import connect
from orchestrator.config import load_settings
from orchestrator.domain.job import JobState
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.records import DeliveryState, ObjectRecord
from orchestrator.ledger import Ledger
from tests.parts.service import run_command

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("demo-orthanc")]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = run_command("demo", "--archive", "orthanc", "--output", folder, "--once", timeout_seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "service.log").read_text()
    return folder


@pytest.fixture(scope="module")
def objects(output: Path) -> tuple[ObjectRecord, ...]:
    """What the service says it wrote."""
    settings = load_settings(output / "orchestrator.toml", {})
    with closing(Ledger.open(settings.data.database)) as ledger:
        jobs = ledger.jobs.search()
        assert {job.state for job in jobs} == {JobState.DONE}
        states = [row.state for job in jobs for row in ledger.deliveries.of_job(job.key)]
        assert states == [DeliveryState.CONFIRMED] * len(jobs) == [DeliveryState.CONFIRMED] * 4
        return tuple(item for job in jobs for item in ledger.objects.of_job(job.key))


def test_each_result_is_in_the_archive_that_was_watched(output: Path, objects: tuple[ObjectRecord, ...]) -> None:
    references = [ObjectReference(item.study_uid, item.series_uid, item.sop_uid, item.sop_class) for item in objects]
    assert {item.kind.value for item in objects} == {"SEG", "SR"}
    with run_orthanc(output / "orthanc") as orthanc:
        assert connect(orthanc.url, name=orthanc.name).missing(references) == frozenset()


def test_results_in_the_watched_archive_start_no_model(output: Path, objects: tuple[ObjectRecord, ...]) -> None:
    settings = load_settings(output / "orchestrator.toml", {})
    with closing(Ledger.open(settings.data.database)) as ledger:
        assert {row.series_uid for row in ledger.series.newest()}.isdisjoint({item.series_uid for item in objects})


def test_the_page_leads_to_the_objects(output: Path, objects: tuple[ObjectRecord, ...]) -> None:
    page = (output / "index.html").read_text()
    for item in objects:
        assert f'href="{os.path.relpath(item.path.resolve(), output.resolve())}"' in page
    assert len(list((output / "pictures").iterdir())) == 4


def test_without_orthanc_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.app.demo import orthanc_server as local
    from orchestrator.domain.errors import UserError

    monkeypatch.setattr(local, "PROGRAM", "no-such-orthanc")
    with pytest.raises(UserError, match="apt install orthanc orthanc-dicomweb"), run_orthanc(tmp_path):
        pass
