"""A sender that brings other pixels under the UIDs of another one changes no result until a person says so."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.domain.job import JobState
from tests.data.faults import change
from tests.data.models import rule
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import storescu
from tests.parts.service import run_command, service, wait_for

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(300)]


def test_the_result_of_the_first_sender_stays_until_a_person_takes_the_others_images(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT"))
    mine, other = (ct_series(tmp_path / sender, slices=10, seed="same") for sender in ("CT1", "EVIL"))
    change(other, lambda dataset: dataset.update({"PixelData": bytes(len(dataset.PixelData))}))
    with service(tmp_path / "host", rest=f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n') as host:
        host.start()
        host.ready()
        assert storescu(host.port, mine, "-R", calling="CT1").returncode == 0
        with closing(host.ledger()) as ledger:
            (job,) = wait_for(lambda: ledger.jobs.search(states=[JobState.DONE]), "the first result")
            assert storescu(host.port, other, "-R", calling="EVIL").returncode == 0
            waiting = wait_for(lambda: [each for each in ledger.quarantine.waiting() if each.count == 10], "quarantine")
            assert ledger.jobs.get(job.key).state is JobState.DONE
            listed = run_command("quarantine", "list", "--json", "--settings", host.settings)
            assert [(each["sender"], each["count"]) for each in json.loads(listed.stdout)] == [("EVIL", 10)]
            series_uid = waiting[0].series_uid
            taken = run_command(
                *("quarantine", "take", series_uid, "--sender", "EVIL", "--by", "Ada Okafor"),
                *("--settings", host.settings),
            )
            assert "10 images from EVIL taken" in taken.stdout, taken.stderr
            jobs = wait_for(
                lambda: len(done := ledger.jobs.search(states=[JobState.DONE])) == 2 and done, "a result of the others"
            )
            assert sorted(each.revision for each in jobs) == [1, 2]
            assert len(ledger.events.newest(kind="result-stale", subjects=[job.key])) >= 1
