"""``run``, ``rules``, ``models`` and ``plugins`` as people type them, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.testing import Phantom
from tests.data.faults import ct
from tests.data.models import rule, write_model
from tests.e2e.cli.conftest import FAULTY_RULES, RUN_KEYS, Command, Site

# --- run ---------------------------------------------------------------------------------------------------


def test_run_reports_with_exactly_the_documented_keys(finished: Site) -> None:
    (outcome,) = finished.report
    assert list(outcome) == RUN_KEYS
    assert [list(item) for item in outcome["objects"]] == [["kind", "uid", "path"]] * 2
    assert [list(item) for item in outcome["measurements"]] == [["name", "value", "unit", "segment"]]
    assert set(outcome["seconds"]) == {"complete", "read", "infer", "write", "deliver"}
    assert all(Path(item["path"]).is_file() for item in outcome["objects"])


def test_no_other_account_can_read_what_a_run_leaves(finished: Site) -> None:
    output = finished.folder / "output"
    assert [path for path in [output, *output.rglob("*")] if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["nofolder", "out"], "there is no folder nofolder"),
        (["file.txt", "out"], "there is no folder file.txt; it is a file"),
        (["input", "file.txt"], "file.txt cannot be created as a folder for results: File exists"),
        (["input", "out", "--json", "no/such/x.json"], "there is no folder no/such for x.json"),
        (["input", "out", "--rules", "nofile.toml"], "there is no nofile.toml"),
        (["input", "out", "--plugins", "nofolder"], "there is no nofolder"),
        (["input", "out", "--models", "nofolder"], "there is no nofolder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_run_names_what_is_not_there_before_it_starts(
    command: Command, nowhere: Path, arguments: list[str], fault: str
) -> None:
    (nowhere / "input").mkdir()
    (nowhere / "file.txt").write_text("no folder")
    ended = command("run", *arguments)
    assert (ended.status, ended.err.strip()) == (2, f"error: {fault}")
    assert not (nowhere / "out").exists()


def test_run_refuses_a_rule_for_a_model_that_is_not_there(command: Command, nowhere: Path) -> None:
    (nowhere / "input").mkdir()
    (nowhere / "rules.toml").write_text(rule("lungs", "bone-volum", Modality="CT"))
    ended = command("run", "input", "out", "--rules", "rules.toml")
    assert ended.status == 2
    assert "rules.toml:3: no model is named 'bone-volum'. Did you mean 'bone-volume'?" in ended.err


def test_run_takes_further_models_and_plugins(command: Command, nowhere: Path) -> None:
    ct(nowhere / "input")
    write_model(nowhere / "plugins", "subject")
    (nowhere / "rules.toml").write_text(rule("all", "subject", Modality="CT"))
    ended = command("run", "input", "out", "--rules", "rules.toml", "--plugins", "plugins", "--json", "report.json")
    assert ended.status == 0
    (outcome,) = json.loads((nowhere / "report.json").read_text())
    assert (outcome["model"], outcome["outcome"]) == ("subject", "done")


# --- rules -------------------------------------------------------------------------------------------------


def test_rules_check_tells_all_faults_with_their_lines(command: Command, nowhere: Path) -> None:
    (nowhere / "rules.toml").write_text(FAULTY_RULES)
    ended = command("rules", "check", "rules.toml")
    assert ended.status == 2
    assert ended.err.splitlines() == [
        "error: rules.toml:4: no model is named 'bone-volum'. Did you mean 'bone-volume'?",
        "rules.toml:6: 'Modalty' is not a DICOM keyword. Did you mean 'Modality'?",
        "rules.toml:7: SliceThickness: 'three' is not a valid number; write 3 or 2.5 without quotes.",
        "rules.toml:9: the rule has no [rule.when]; to match every series, write InstanceCount = { min = 1 } there.",
        "rules.toml:9: the rule has no effect; add a model, or hold = true.",
        "rules.toml:10: another rule has the name 'lungs'.",
        "rules.toml:11: 'modell' is not a key of a rule. Did you mean 'model'?",
    ]


def test_rules_check_shows_what_a_sound_file_does(command: Command, nowhere: Path) -> None:
    (nowhere / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT"))
    ended = command("rules", "check", "rules.toml")
    assert (ended.status, ended.out.splitlines()) == (
        0,
        ["rules.toml: 1 rules, no fault", "  bones  ->  bone-volume  (routine)"],
    )


def test_rules_explain_a_folder_says_what_was_found_and_wanted(command: Command, nowhere: Path) -> None:
    ct(nowhere / "input")
    (nowhere / "rules.toml").write_text(
        rule("bones", "bone-volume", Modality="CT") + rule("heads", "brain-mask", Modality="MR")
    )
    ended = command("rules", "explain", "input", "--rules", "rules.toml")
    assert ended.status == 0
    assert f"series {Phantom(seed='input').uid('series', 'CT')}" in ended.out
    assert "✓ bones -> bone-volume (routine)" in ended.out
    assert "✗ Modality is CT, expected MR" in ended.out


def test_rules_explain_a_series_that_was_received(command: Command, finished: Site) -> None:
    uid = str(finished.report[0]["series"])
    ended = command("rules", "explain", uid, "--json", *finished.settings)
    assert ended.status == 0
    assert ended.json[uid]["matched"] is True


@pytest.mark.parametrize(
    ("what", "fault"),
    [("typo", "there is no folder typo"), ("1.2.3", "this host has received no series 1.2.3")],
)
def test_rules_explain_names_what_is_not_there(command: Command, finished: Site, what: str, fault: str) -> None:
    ended = command("rules", "explain", what, *finished.settings)
    assert (ended.status, ended.err.strip()) == (2, f"error: {fault}")


# --- models and plugins ------------------------------------------------------------------------------------


def test_models_list_tells_the_shipped_ones(command: Command) -> None:
    ended = command("models", "list", "--json")
    assert {"bone-volume", "bone-volume-onnx", "brain-mask", "burned-in-text"} <= {m["name"] for m in ended.json}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["pull", "bone-volum"], "no model is named 'bone-volum'"),
        (["try", "bone-volum", "--input", "input"], "no model is named 'bone-volum'"),
        (["try", "input", "--input", "input"], "input has neither a model.toml"),
        (["try", "bone-volume", "--input", "nofolder"], "there is no folder nofolder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_models_names_what_is_not_there(command: Command, nowhere: Path, arguments: list[str], fault: str) -> None:
    (nowhere / "input").mkdir()
    ended = command("models", *arguments)
    assert ended.status == 2
    assert fault in ended.err


def test_models_try_shows_a_picture_of_each_result(command: Command, nowhere: Path) -> None:
    ct(nowhere / "input")
    ended = command("models", "try", "bone-volume", "--input", "input", "--output", "tried")
    assert ended.status == 0
    (picture,) = (nowhere / "tried").glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.name in ended.out


def test_plugins_shows_one_that_is_broken_and_what_is_wrong(command: Command, nowhere: Path) -> None:
    (nowhere / "plugins").mkdir()
    (nowhere / "plugins" / "broken.py").write_text("import nothing_of_that_name\n")
    (nowhere / "plugins" / "empty.py").write_text("def register_models(register): ...\n")
    (nowhere / "orchestrator.toml").write_text('[models]\nplugins = ["plugins"]\n')
    listed = {plugin["name"]: plugin for plugin in command("plugins", "--json").json}
    assert "No module named 'nothing_of_that_name'" in listed["broken"]["error"]
    assert "decorate its functions with @hookimpl" in listed["empty"]["error"]
    assert listed["bone-volume"]["error"] == ""
    assert listed["archives"]["hooks"] == ["connect_archive"]
