"""``orchestrator models new|check|install|list`` as a person types them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.app.doctor.installation import Health, examine
from orchestrator.config import load_settings
from orchestrator.testing import synthetic_series
from tests.integration.app.models.conftest import HEAD
from tests.integration.app.models.test_environment import model_folder

Command = Callable[..., tuple[int, str]]
WRONG = "\nclass Model(Subject):\n    def marked(self, volume):\n        return volume.voxels[::-1] > 300\n"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Give the command line in an empty folder whose settings name ``plugins`` and ``models`` beside them."""
    for name in ("plugins", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "orchestrator.toml").write_text(
        '[models]\nplugins = ["plugins"]\nfolders = ["models"]\nweights = "weights"\n'
    )
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["orchestrator", "models", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return int(ended.value.code or 0), " ".join((said.out + said.err).split())

    return run


def test_a_new_model_tells_what_comes_next(command: Command) -> None:
    assert command("new", "lung-net", "--onnx", "--into", "models") == (
        0,
        "created models/lung-net; its README.md says what to change next: orchestrator models check models/lung-net",
    )


def test_a_new_model_is_one_kind_or_the_other(command: Command) -> None:
    assert command("new", "lung-net", "--onnx", "--python") == (2, "error: use either --onnx or --python, not both")


def test_a_sound_model_is_told_in_one_line_and_status_0(command: Command) -> None:
    command("new", "lung-net", "--onnx", "--into", "models")
    status, said = command("check", "lung-net", "--json", "report.json")
    assert status == 0
    assert said.endswith("lung-net 0.1.0 keeps the contract: 20 passed, 1 not applicable")
    assert json.loads(Path("report.json").read_text())["passed"] is True


def test_the_card_of_a_new_model_is_filled_in_and_what_was_written_stays(command: Command) -> None:
    command("new", "lung-net", "--onnx", "--into", "models")
    card = Path("models/lung-net/MODEL_CARD.md")
    before = card.read_text()
    status, said = command("check", "lung-net", "--card", str(card))
    after = card.read_text()
    assert (status, said.endswith(f"card: {card}")) == (0, True)
    assert after.startswith(before.partition("Not checked yet")[0])
    assert "| segment | Dense | (272673000, SCT, Bone); " in after
    assert ": 20 passed, 0 failed, 1 not applicable, in " in after


def test_a_wrong_model_is_told_with_what_is_wrong_and_status_1(command: Command) -> None:
    Path("plugins/subject.py").write_text(HEAD + WRONG)
    status, said = command("check", "subject", "--json", "report.json")
    assert status == 1
    assert "FAILED known lesion: segment 'Bone' is the bright lesion mirrored head-foot" in said
    assert "subject 1 breaks the contract: " in said
    assert json.loads(Path("report.json").read_text())["passed"] is False


def test_clauses_that_do_not_apply_for_one_reason_make_one_line(command: Command) -> None:
    refusing = "\nclass Model(Subject):\n    def marked(self, volume):\n        raise UnsupportedInput('no head')\n"
    Path("plugins/subject.py").write_text(HEAD + refusing)
    status, said = command("check", "subject")
    assert status == 0
    assert said.count("refused: no head") == 1
    assert "runs, valid SEG and SR, known lesion" in said


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["check", "nowhere/model"], "there is no folder nowhere/model"),
        (["check", "plugins"], "plugins has neither a model.toml nor the pyproject.toml of a package with a model"),
        (["check", "bone-volume", "--input", "nowhere"], "there is no folder nowhere"),
        (["check", "bone-volume", "--json", "nowhere/x"], "there is no folder nowhere for x"),
        (["check", "bone-volume", "--card", "nowhere/x"], "there is no folder nowhere for x"),
        (
            ["check", "bone-volume", "--card", "orchestrator.toml"],
            "orchestrator.toml exists and has no marker lines",
        ),
        (["install", "bone-volum"], "no model is named 'bone-volum'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_named(command: Command, arguments: list[str], fault: str) -> None:
    status, said = command(*arguments)
    assert status == 2
    assert fault in said


@pytest.mark.parametrize(
    "arguments",
    [
        *(["try", "lung-net", "--input", "images"], ["try", "models/lung-net", "--input", "images"]),
        *(["check", "lung-net"], ["check", "models/lung-net"], ["pull", "lung-net"], ["install", "lung-net"]),
    ],
    ids=" ".join,
)
def test_of_a_refused_model_only_the_reason_is_told(
    command: Command, caplog: pytest.LogCaptureFixture, arguments: list[str]
) -> None:
    command("new", "lung-net", "--onnx", "--into", "models")
    manifest = Path("models/lung-net/model.toml").absolute()
    manifest.write_text(manifest.read_text().replace("channel = 0", "channel = 3"))
    synthetic_series(Path("images"), slices=3)
    status, said = command(*arguments)
    assert status == 2
    assert re.fullmatch(rf"error: {re.escape(str(manifest))}:\d+: the network has no channel 3, [^:]+\.", said)
    assert caplog.text == ""


def test_a_list_of_all_models_warns_of_those_that_are_refused(
    command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    Path("models/lung-net").mkdir()
    Path("models/lung-net/model.toml").write_text("contract = 7")
    command("list")
    assert "plugin lung-net not loaded" in caplog.text


def test_a_model_whose_packages_are_missing_is_listed_with_what_to_run(command: Command) -> None:
    model_folder(Path("models/plural"))
    status, said = command("list", "--json")
    (plural,) = [model for model in json.loads(said) if model["name"] == "plural"]
    assert (status, plural["environment"]) == (0, "missing; orchestrator models install plural")
    status, said = command("check", "plural")
    assert status == 1
    assert "the environment of plural is not installed; run: orchestrator models install plural" in said


def test_a_job_on_a_model_whose_packages_are_missing_fails_with_what_to_run(command: Command) -> None:
    model_folder(Path("models/plural"))
    synthetic_series(Path("images"), slices=3)
    status, said = command("try", "plural", "--input", "images")
    assert status == 1
    assert "EnvironmentMissing: the environment of plural is not installed; run:" in said


def test_doctor_says_what_to_run_for_a_model_whose_packages_are_missing(command: Command) -> None:
    model_folder(Path("models/plural"))
    checks = {check.name: check for check in examine(load_settings(Path("orchestrator.toml"), {}))}
    assert checks["model plural"].health is Health.WARNING
    assert "run: orchestrator models install plural" in checks["model plural"].found


def test_a_model_without_requirements_needs_no_install(command: Command) -> None:
    assert command("install", "bone-volume") == (0, "bone-volume has no requirements; nothing to install")


def test_an_install_that_fails_says_why(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    model_folder(Path("models/plural"))
    status, said = command("install", "models/plural")
    assert status == 1
    assert "the environment of plural could not be installed: No matching distribution found for" in said
