"""A series through the whole path with a model on a server: the objects, the audit trail, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.app.batch.run import STATE_FOLDER
from orchestrator.ledger import Ledger
from tests.data.faults import ct
from tests.data.models import rule
from tests.integration.model_servers.conftest import MANIFEST, SEGMENT
from tests.integration.model_servers.mlserver import Server
from tests.parts.service import run_command

pytestmark = [pytest.mark.xdist_group("mlserver"), pytest.mark.timeout(600)]

EGRESS = '[[egress]]\nname = "gpu"\nurl = "{url}"\npurpose = "bone on CT"\n'


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Path:
    """A folder with one CT series, a remote model, rules for both bone models, and no settings yet."""
    ct(tmp_path / "images")
    (tmp_path / "models" / "subject").mkdir(parents=True)
    text = MANIFEST.format(rest=SEGMENT, url=server.url, model="bone", remote="")
    (tmp_path / "models" / "subject" / "model.toml").write_text(text)
    (tmp_path / "rules.toml").write_text(rule("bone", "subject", "bone-volume-onnx", Modality="CT"))
    return tmp_path


def _settings(site: Path, egress: str) -> Path:
    text = f'[models]\nfolders = ["models"]\n[rules]\nfile = "rules.toml"\n{egress}'
    (site / "orchestrator.toml").write_text(text)
    return site / "orchestrator.toml"


def test_a_series_gets_the_same_segmentation_from_the_server_as_from_the_model_that_ships(
    site: Path, server: Server
) -> None:
    settings = _settings(site, EGRESS.format(url=server.url))
    done = run_command("run", site / "images", site / "out", "--settings", settings)
    assert done.returncode == 0, done.stdout + done.stderr
    objects = [dcmread(path) for path in (site / "out").glob("*/*/*.dcm")]
    ours, theirs = (item.pixel_array for item in objects if item.Modality == "SEG")
    assert ours.any()
    assert (ours == theirs).all()


def test_what_left_is_in_the_audit_trail_of_its_job(site: Path, server: Server) -> None:
    settings = _settings(site, EGRESS.format(url=server.url))
    run_command("run", site / "images", site / "out", "--settings", settings)
    with closing(Ledger.open(f"sqlite:///{site / 'out' / STATE_FOLDER / 'ledger.db'}")) as ledger:
        (job,) = ledger.jobs.search(model="subject")
        (left,) = [event for event in ledger.events.after(subject=job.key) if event.kind == "egress"]
    assert f"POST {server.url}/v2/models/bone/infer to gpu (inference: bone on CT) sends" in left.text


def test_a_server_that_the_settings_do_not_allow_is_one_sentence_before_anything_runs(
    site: Path, server: Server
) -> None:
    done = run_command("plugins", "--json", "--settings", _settings(site, ""))
    (listing,) = [each for each in json.loads(done.stdout) if each["name"] == "subject"]
    assert listing["models"] == []
    assert f"the settings do not allow requests to {server.url}; to allow them add: [[egress]] " in listing["error"]
