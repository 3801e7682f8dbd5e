"""Each command as people type it, right and wrong: what is told, the exit status, and never a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import orchestrator
from tests.data.faults import ct
from tests.data.models import rule
from tests.e2e.cli.conftest import FAULTY_RULES, FAULTY_SETTINGS, Command
from tests.parts.archive.dcmtk import free_port
from tests.parts.service import run_command

# --- all of it ---------------------------------------------------------------------------------------------


def test_version_is_told(command: Command) -> None:
    assert command("--version").out.strip() == orchestrator.__version__


@pytest.mark.parametrize(("typed", "meant"), [(["runn"], "run"), (["rules", "chek"], "check"), (["job"], "jobs")])
def test_a_misspelt_command_is_told_with_the_one_that_is_meant(command: Command, typed: list[str], meant: str) -> None:
    ended = command(*typed)
    assert ended.status == 2
    assert f"Did you mean '{meant}'" in ended.err


def test_faulty_settings_stop_every_command_with_all_faults_and_lines(command: Command, nowhere: Path) -> None:
    (nowhere / "orchestrator.toml").write_text(FAULTY_SETTINGS)
    for arguments in (["jobs", "list"], ["serve"], ["config", "check"]):
        ended = command(*arguments)
        assert ended.status == 2
        assert "orchestrator.toml:3: 'prot' is not a setting of [receiver]. Did you mean 'port'?" in ended.err
        assert "orchestrator.toml:4: quiet_seconds should be a valid number" in ended.err
        assert "orchestrator.toml:7: url needs AE title, host and port" in ended.err


def test_a_misspelt_variable_of_the_environment_is_told(
    command: Command, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_RECEIVER__PROT", "11112")
    ended = command("config", "check")
    assert ended.status == 2
    assert "Did you mean 'ORCHESTRATOR_RECEIVER__PORT'" in ended.err


def test_settings_that_are_not_there_are_named(command: Command, nowhere: Path) -> None:
    ended = command("jobs", "list", "--settings", "nofile.toml")
    assert (ended.status, ended.err) == (2, "error: nofile.toml cannot be read: No such file or directory.\n")


# --- events ------------------------------------------------------------------------------------------------


def test_events_show_what_happened_and_to_what(command: Command, nowhere: Path) -> None:
    ct(nowhere / "input")
    assert command("run", "input", "out").status == 0
    (nowhere / "orchestrator.toml").write_text('[data]\ndatabase = "sqlite:///out/.orchestrator/ledger.db"\n')
    (job,) = command("jobs", "list", "--json").json
    kinds = [event["kind"] for event in command("events", job["key"][:12], "--json").json]
    assert kinds[0] == "job.waiting"
    assert "job.done" in kinds
    assert "no events" in command("events", "--kind", "file-unreadable").out


# --- doctor and config -------------------------------------------------------------------------------------


def test_doctor_says_what_is_not_right_and_what_to_do(command: Command, nowhere: Path) -> None:
    port = free_port()
    (nowhere / "orchestrator.toml").write_text(
        f'[receiver]\nport = {free_port()}\n[rules]\nfile = "rules.toml"\n'
        f'[[destination]]\nname = "pacs"\nurl = "dimse://PACS@127.0.0.1:{port}"\n'
    )
    (nowhere / "rules.toml").write_text(FAULTY_RULES)
    ended = command("doctor", "--json")
    found = {check["name"]: check for check in ended.json}
    assert ended.status == 1
    assert found["rules"]["health"] == "bad"
    assert "rules.toml:6" in found["rules"]["found"]
    assert found["archive pacs"]["health"] == "bad"
    assert "does not answer" in found["archive pacs"]["found"]
    assert "does not listen" in found["receiver"]["found"]


@pytest.mark.parametrize(("model", "health"), [("bone-volume", "good"), ("bone-volum", "bad")])
def test_doctor_reads_the_rules_as_the_service_does(command: Command, nowhere: Path, model: str, health: str) -> None:
    (nowhere / "plugins").mkdir()
    (nowhere / "plugins" / "ward.py").write_text(
        "from orchestrator.sdk import hookimpl\n@hookimpl\ndef declare_facts():\n    return {'Ward': 'text'}\n"
    )
    (nowhere / "orchestrator.toml").write_text('[models]\nplugins = ["plugins"]\n[rules]\nfile = "rules.toml"\n')
    (nowhere / "rules.toml").write_text(f'[[rule]]\nname = "a"\nmodel = "{model}"\n[rule.when]\nWard = "ER"\n')
    found = {check["name"]: check for check in command("doctor", "--json").json}
    assert found["rules"]["health"] == health, found["rules"]


def test_doctor_says_how_each_watch_stands(command: Command, nowhere: Path) -> None:
    archive = f'[[archive]]\nname = "pacs"\nurl = "orthanc+http://127.0.0.1:{free_port()}"\nwatch = true\n'
    (nowhere / "orchestrator.toml").write_text(archive)
    found = {check["name"]: check for check in command("doctor", "--json").json}
    assert (found["watch of pacs"]["health"], found["watch of pacs"]["found"]) == ("warning", "last scan: never")


def test_config_show_masks_secrets(command: Command, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "password").write_text("correct horse\n")
    (nowhere / "password").chmod(0o600)
    (nowhere / "orchestrator.toml").write_text(
        '[data]\ndatabase = "postgresql://user@127.0.0.1/ledger"\ndatabase_password_file = "password"\n'
    )
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        ended = command(*arguments)
        assert ended.status == 0
        assert "correct horse" not in ended.out
        assert "127.0.0.1/ledger" in ended.out


def test_config_check_reads_the_rules_too(command: Command, nowhere: Path) -> None:
    (nowhere / "orchestrator.toml").write_text('[rules]\nfile = "rules.toml"\n')
    (nowhere / "rules.toml").write_text(rule("lungs", "bone-volum", Modality="CT"))
    ended = command("config", "check")
    assert ended.status == 2
    assert "no model is named 'bone-volum'" in ended.err


# --- serve -------------------------------------------------------------------------------------------------


def test_serve_does_not_start_on_faulty_rules(nowhere: Path) -> None:
    (nowhere / "rules.toml").write_text(FAULTY_RULES)
    (nowhere / "orchestrator.toml").write_text(
        f'[receiver]\nport = {free_port()}\n[web]\nenabled = false\n[rules]\nfile = "rules.toml"\n'
    )
    ended = run_command("serve", "--settings", nowhere / "orchestrator.toml")
    assert ended.returncode == 2
    assert "Did you mean 'Modality'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_told_in_one_sentence(nowhere: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (nowhere / "orchestrator.toml").write_text(f"[receiver]\nport = {port}\n[web]\nenabled = false\n")
        ended = run_command("serve", "--role", "receiver", "--settings", nowhere / "orchestrator.toml")
    fault = f"error: the receiver cannot listen on 127.0.0.1 port {port} (Address already in use)"
    assert (ended.returncode, ended.stderr.strip()) == (2, f"{fault}; check [receiver] host and port")
