"""A patient with a name, an ID and a birth date that nothing else has: none of it in ledger, logs, reasons, reports.

Patient data belong into DICOM files, and nowhere else.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.app.batch import run
from orchestrator.config import load_settings
from orchestrator.domain.job import ENDED, JobState
from orchestrator.testing import Patient
from tests.data.faults import PIXELS, change, ct
from tests.data.models import rule, write_model
from tests.parts.archive.dcmtk import storescu
from tests.parts.service import destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)

PATIENT = Patient(patient_id="ZQ-7741", name="Zyxwvut^Quirina", birth_date="19331107", issuer="WARD-ZQ", age="091Y")
SECRETS = ("zyxwvut", "quirina", "zq-7741", "19331107", "1933-11-07", "ward-zq", "acc-zq-5", "091y")
RULES = (
    rule("bones of one patient", "bone-volume", Modality="CT", PatientID="ZQ-7741", PatientName="*ZYXWVUT*")
    + rule("whoever was born in that year", "raises", "returns-none", "refuses", PatientBirthDate={"min": "19330101"})
    + rule("nobody", "bone-volume", PatientName="Somebody^Else")
)
HOST_PLUGIN = '''
"""A host plugin that tells the patient wherever it may raise."""
from pydicom import Dataset, dcmread
from orchestrator.sdk import hookimpl


@hookimpl
def series_facts(series, headers):
    if "curious" in headers.get("SeriesDescription", ()):
        raise ValueError(f"{headers['PatientName']} {headers['PatientID']}")
    return {}


@hookimpl
def extra_objects(job, result, sources):
    source = dcmread(sources[0], stop_before_pixels=True)
    if source.SeriesDescription == "extra":
        raise RuntimeError(str(source.PatientName))
    if source.SeriesDescription == "odd extra":
        odd = Dataset()
        odd.PatientName = source.PatientName
        odd.add_new("Rows", "US", str(source.PatientName))
        return [odd]
    return []


@hookimpl
def result_delivered(job, objects):
    raise RuntimeError(str(dcmread(objects[0].path).PatientName))
'''


def series(folder: Path, description: str = "plain") -> list[Path]:
    attributes = {"SeriesDescription": description, "AccessionNumber": "ACC-ZQ-5", "PatientComments": "Quirina"}
    return ct(folder, patient=PATIENT, attributes=attributes)


def everything(folder: Path) -> None:
    """Write what works, what fails in every way that reads the patient, and broken files."""
    for name in ("plain", "curious", "extra", "odd extra"):
        series(folder / name, name)
    cut = series(folder / "cut", "cut")[2]
    content = cut.read_bytes()
    cut.write_bytes(content[: content.index(b"Quirina") + 3])
    shortened = series(folder / "shortened", "shortened")[2]
    shortened.write_bytes(shortened.read_bytes()[:-200])
    headless = series(folder / "headless", "headless")[0]
    headless.write_bytes(headless.read_bytes()[: headless.read_bytes().index(PIXELS)])
    odd = series(folder / "wrong VRs", "wrong VRs")
    change(odd, lambda dataset: dataset.add_new("SliceThickness", "LO", "Zyxwvut"))
    two = series(folder / "two patients", "two patients")
    change(two[3:], lambda dataset: dataset.update({"PatientName": "Zyxwvut^Quirina^Other"}))


def settings(folder: Path) -> str:
    """Write rules, models and host plugin, and return the settings that name them."""
    write_model(folder / "plugins", "raises", "raise ValueError(str(dict(volume.facts)))")
    write_model(folder / "plugins", "returns-none", "return None")
    write_model(folder / "plugins", "refuses", "raise UnsupportedInput(str(dict(volume.facts)))")
    (folder / "plugins" / "curious.py").write_text(HOST_PLUGIN)
    (folder / "rules.toml").write_text(RULES)
    return f'[models]\nplugins = ["{folder / "plugins"}"]\n[rules]\nfile = "{folder / "rules.toml"}"\n'


def clean(text: str) -> None:
    """Fail where the text tells of the patient, with the words around it."""
    lower = text.lower()
    for secret in SECRETS:
        at = lower.find(secret)
        assert at < 0, f"{secret}: ...{text[max(0, at - 200) : at + 100]}"


def ledger_text(file: Path) -> str:
    """Return every value of every table, the engine's too."""
    return "\n".join(_values(file))


def _values(file: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield value.decode("latin-1") if isinstance(value, bytes) else str(value)


def test_a_run_tells_of_no_patient(tmp_path: Path) -> None:
    everything(tmp_path / "input")
    (tmp_path / "orchestrator.toml").write_text(settings(tmp_path))
    ended = run_command(
        *("run", tmp_path / "input", tmp_path / "output"),
        *("--settings", tmp_path / "orchestrator.toml", "--json", tmp_path / "report.json"),
    )
    report = (tmp_path / "report.json").read_text()
    ledger = ledger_text(tmp_path / "output" / ".orchestrator" / "ledger.db")
    clean(ended.stdout)
    clean(ended.stderr)
    clean(report)
    clean(ledger)
    assert "PluginError: plugin curious raised ValueError in series_facts" in report
    assert '"outcome": "done"' in report
    assert "(hidden)" in ledger  # the rules do ask for the patient, and the explanations are kept
    written = [dcmread(path) for path in (tmp_path / "output").rglob("*.dcm")]
    assert {str(item.PatientName) for item in written} == {PATIENT.name}


def test_a_service_tells_of_no_patient(tmp_path: Path) -> None:
    everything(tmp_path / "input")
    archive = tmp_path / "archive"
    renamed = series(archive / "plain", "plain")  # held there for the same patient under a new ID
    change(renamed, lambda dataset: dataset.update({"PatientID": "ZQ-7741-NEW"}))
    paths = sorted((tmp_path / "input").rglob("*.dcm"))
    whole = [path for path in paths if path.parent.name not in {"cut", "headless", "shortened"}]
    watched = f'[[archive]]\nname = "inbox"\nurl = "{(tmp_path / "input").as_uri()}"\nwatch = true\n'
    rest = settings(tmp_path) + watched + destination(archive.as_uri())
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        assert storescu(host.port, whole, calling="CT1").returncode == 0
        wait_for(lambda: any(job.state is JobState.DONE for job in host.jobs()), "a result is delivered")
        ends = ENDED | {JobState.DELIVERING}  # what the archive lacks waits there
        wait_for(lambda: len(host.jobs()) >= 20 and all(job.state in ends for job in host.jobs()), "all jobs ended")
        wait_for(lambda: "series_facts" in host.log, "the plugin's fault is told")
        keys = [job.key for job in host.jobs()]
        shown = [run_command("jobs", "show", key, "--json", "--settings", host.settings).stdout for key in keys[:6]]
        with closing(host.ledger()) as ledger:
            assert any(event.kind == "identity-changed" for event in ledger.events.after(limit=10_000))
    clean(host.log)
    clean(ledger_text(host.data / "orchestrator.db"))
    clean("\n".join(shown))
    assert [path for path in [host.data, *host.data.rglob("*")] if path.stat().st_mode & 0o077] == []


def test_an_unexpected_error_of_ours_tells_of_no_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(grid: object, out: object) -> Dataset:
        raise RuntimeError(f"{PATIENT.name} {PATIENT.patient_id} {PATIENT.birth_date}")

    monkeypatch.setattr("orchestrator.pipeline.jobs.inference.fill", faulty)
    series(tmp_path / "input")
    with caplog.at_level(logging.INFO):
        report = run.run(tmp_path / "input", tmp_path / "output", load_settings(None, {}))
    (outcome,) = report.outcomes
    assert outcome.outcome == "failed"
    assert outcome.reason.startswith("internal error: RuntimeError at test_no_patient_data.py:")
    assert "in faulty" in caplog.text
    clean(outcome.reason)
    clean(caplog.text)
    clean(ledger_text(tmp_path / "output" / ".orchestrator" / "ledger.db"))
