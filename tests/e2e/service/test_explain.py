"""``rules explain`` says of a received series what the service decided, by the facts that it used."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.domain.records import ObjectKind
from tests.data.models import rule
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import storescu
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(300)]

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


def matches(host: Service, series_uid: str) -> tuple[list[str], bool]:
    """Return the rules that matched as the command explains it, and whether this host wrote the series."""
    ended = run_command("rules", "explain", series_uid, "--json", "--settings", host.settings)
    assert ended.returncode == 0, ended.stderr
    tree = json.loads(ended.stdout)[series_uid]
    assert tree["now"] is None
    return [each["rule"] for each in tree["rules"] if each["matched"]], tree["written_here"]


def test_explanations_agree_with_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "wards.py").write_text(PLUGIN)
    (tmp_path / "rules.toml").write_text(
        rule("from CT1", "bone-volume", CallingAETitle="CT1")
        + rule("intensive care", "bone-volume", Ward="ICU")
        + rule("from CT2", "bone-volume", CallingAETitle="CT2")
    )
    (tmp_path / "results").mkdir()
    results = destination((tmp_path / "results").as_uri(), ask=False, confirm="none")
    rest = f'[models]\nplugins = ["{tmp_path / "plugins"}"]\n[rules]\nfile = "{tmp_path / "rules.toml"}"\n{results}'
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        images = ct_series(tmp_path / "ct", slices=10)
        assert storescu(host.port, images, "-R", calling="CT1").returncode == 0
        (job,) = host.job_ends()
        with closing(host.ledger()) as ledger:
            seg = next(item for item in ledger.objects.of_job(job.key) if item.kind is ObjectKind.SEG)
            assert storescu(host.port, [seg.path], "-R", calling="CT1").returncode == 0
            wait_for(lambda: (own := ledger.series.find(seg.series_uid)) and own.explanation, "its own SEG is routed")
        assert job.rule == "from CT1"
        assert matches(host, str(dcmread(images[0]).SeriesInstanceUID)) == (["from CT1", "intensive care"], False)
        assert matches(host, seg.series_uid) == ([], True)
