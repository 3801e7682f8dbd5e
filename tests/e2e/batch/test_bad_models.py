"""Models that do everything wrong: each attempt ends in its named state with a reason, and the next model runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from orchestrator.app.batch.run import STATE_FOLDER
from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord
from orchestrator.ledger import Ledger
from tests.data.faults import ct
from tests.data.models import BRIGHT, rule, write_model
from tests.parts.archive.dcmtk import storescu
from tests.parts.service import Service, destination, run_command, service, wait_for

pytestmark = pytest.mark.timeout(300)

SHORT = "resources = Resources(timeout_seconds=3.0)"
MASK = "volume.voxels > 300"

MODELS: dict[str, tuple[str, str, str, str]] = {
    # name: body of predict, attributes, state, reason
    "a-good-one": (BRIGHT, "", "done", ""),
    "aborts": (
        "os.abort()",
        "",
        "failed",
        "WorkerCrashed: the process of aborts ended unexpectedly: killed by SIGABRT",
    ),
    "empty": ("return Result()", "", "failed", "InvalidResult: empty found nothing, and its manifest does not allow"),
    "exits": ("os._exit(3)", "", "failed", "WorkerCrashed: the process of exits ended unexpectedly: exit status 3"),
    "hangs": ("time.sleep(600)", SHORT, "failed", "WorkerTimeout: hangs did not answer within 3 s and was killed"),
    "label-too-long": (
        f"return Result([Segment('x' * 65, {MASK}, codes['bone'])])",
        "",
        "failed",
        "InvalidResult: a label of segment 1 must be text of 1 to 64 characters",
    ),
    "not-a-number": (
        "return Result(measurements=[Measurement(codes['mean'], float('nan'), '1')])",
        "",
        "failed",
        "InvalidResult: the value of measurement 1 is nan, expected a finite number",
    ),
    "nothing-in-it": ("return Result()", "empty = Empty.NEGATIVE", "done", ""),
    "nothing-to-say": ("raise NotApplicable('no spine in it')", "", "not-applicable", "no spine in it"),
    "prints": ("print('noise ' * 9999)\n" + BRIGHT, "", "done", ""),
    "raises": ("raise KeyError('no such thing')", "", "failed", "ModelRaised: raises raised KeyError: 'no such thing'"),
    "refuses": ("raise UnsupportedInput('too dark')", "", "unsupported", "refused-by-model: too dark"),
    "returns-none": ("return None", "", "failed", "InvalidResult: the model returned NoneType, expected a Result"),
    "runs-out-of-memory": (
        "np.ones(10**9)",
        "resources = Resources(memory_mb=256)",
        "failed",
        "WorkerOutOfMemory: runs-out-of-memory needs more than its memory_mb = 256",
    ),
    "unknown-code": (
        "return Result([Segment('Liver', volume.voxels > 0, codes['livr'])])",
        "",
        "failed",
        "ModelRaised: unknown-code raised UnknownConcept: no coded concept is named 'livr' - did you mean 'liver'",
    ),
    "wrong-channel": (
        f"return Result([Segment('Lesion', np.stack([{MASK}] * 2), codes['bone'])])",
        "",
        "failed",
        "InvalidResult: segment 'Lesion' has the shape (2, 6, 32, 32), the volume has (6, 32, 32)",
    ),
    "wrong-shape": (
        f"return Result([Segment('Lesion', ({MASK})[1:], codes['bone'])])",
        "",
        "failed",
        "InvalidResult: segment 'Lesion' has the shape (5, 32, 32), the volume has (6, 32, 32)",
    ),
    "z-good-one": (BRIGHT, "", "done", ""),
}


@dataclass(frozen=True)
class Trial:
    """One series given to all the models at once, by the command line."""

    folder: Path
    status: int
    outcomes: Mapping[str, Mapping[str, Any]]
    said: str


def run(folder: Path, models: Sequence[str]) -> Trial:
    """Run the command line over the folder's input and plugins, into its output."""
    (folder / "rules.toml").write_text(rule("everything", *models, Modality="CT"))
    report = folder / "report.json"
    ended = run_command(
        *("run", folder / "input", folder / "output", "--rules", folder / "rules.toml"),
        *("--plugins", folder / "plugins", "--json", report),
    )
    assert report.exists(), ended.stderr
    outcomes = {item["model"]: item for item in json.loads(report.read_text())}
    return Trial(folder, ended.returncode, outcomes, ended.stdout + ended.stderr)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("models")
    ct(folder / "input")
    for name, (body, attributes, _, _) in MODELS.items():
        write_model(folder / "plugins", name, body, attributes)
    return run(folder, list(MODELS))


@pytest.mark.parametrize("name", MODELS)
def test_each_model_ends_in_its_named_state_and_says_why(trial: Trial, name: str) -> None:
    _, _, state, reason = MODELS[name]
    outcome = trial.outcomes[name]
    assert outcome["outcome"] == state
    assert outcome["reason"].startswith(reason)
    assert bool(outcome["objects"]) == (state == "done")


def test_a_failed_model_gives_exit_status_1(trial: Trial) -> None:
    assert trial.status == 1


def test_what_models_print_is_not_shown(trial: Trial) -> None:
    assert "noise noise" not in trial.said


def test_a_negative_answer_is_a_report_alone(trial: Trial) -> None:
    (written,) = trial.outcomes["nothing-in-it"]["objects"]
    assert written["kind"] == "SR"
    assert dcmread(written["path"]).Modality == "SR"


def test_nothing_of_a_failed_attempt_stays_in_the_scratch_folder(trial: Trial) -> None:
    scratch = trial.folder / "output" / STATE_FOLDER / "scratch"
    assert not list(scratch.iterdir())


def test_a_mended_model_runs_again_and_only_its_last_outcome_is_reported(tmp_path: Path) -> None:
    ct(tmp_path / "input")
    write_model(tmp_path / "plugins", "subject", "raise ValueError('not yet')")
    broken = run(tmp_path, ["subject"])
    write_model(tmp_path / "plugins", "subject")
    mended = run(tmp_path, ["subject"])
    assert (broken.status, broken.outcomes["subject"]["outcome"]) == (1, "failed")
    assert (mended.status, mended.outcomes["subject"]["outcome"]) == (0, "done")
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'output' / STATE_FOLDER / 'ledger.db'}")) as ledger:
        assert sorted(job.state for job in ledger.jobs.search()) == [JobState.DONE, JobState.FAILED]


def test_a_plugin_that_does_not_load_is_named_with_the_rule_that_needs_it(tmp_path: Path) -> None:
    ct(tmp_path / "input")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("def predict(:\n")
    (tmp_path / "rules.toml").write_text(rule("everything", "broken", Modality="CT"))
    ended = run_command(
        *("run", tmp_path / "input", tmp_path / "output"),
        *("--rules", tmp_path / "rules.toml", "--plugins", tmp_path / "plugins"),
    )
    assert ended.returncode == 2
    assert "SyntaxError" in ended.stderr
    assert "rules.toml:3" in ended.stderr
    assert "Traceback" not in ended.stderr


def superseded(host: Service) -> list[JobRecord]:
    return [job for job in host.jobs() if job.state is JobState.SUPERSEDED]


def test_a_retried_job_of_a_mended_model_is_replaced_by_one_with_the_model_as_it_is_now(tmp_path: Path) -> None:
    plugins, rules = tmp_path / "plugins", tmp_path / "rules.toml"
    write_model(plugins, "subject", "raise ValueError('not yet')")
    rules.write_text(rule("everything", "subject", Modality="CT"))
    archive = tmp_path / "archive"
    archive.mkdir()
    rest = f'[models]\nplugins = ["{plugins}"]\n[rules]\nfile = "{rules}"\n'
    with service(tmp_path / "host", rest=rest + destination(archive.as_uri(), ask=False, confirm="none")) as host:
        host.start()
        host.ready()
        assert storescu(host.port, ct(tmp_path / "input"), calling="CT1").returncode == 0
        failed = host.job_ends(JobState.FAILED)[0]
        host.stop()
        write_model(plugins, "subject")
        host.start()
        wait_for(lambda: host.log.count("the engine is ready") == 2, "the engine is ready again")
        retried = run_command("jobs", "retry", failed.key[:12], "--settings", host.settings)
        assert retried.returncode == 0, retried.stderr
        (done,) = host.job_ends(JobState.DONE)
        old = wait_for(
            lambda: next((job for job in superseded(host) if job.key == failed.key), None),
            "the job of the faulty model is superseded",
        )
    assert done.key != failed.key
    assert old.reason == f"the model changed since; job {done.key[:12]} with version 1 takes its place"
