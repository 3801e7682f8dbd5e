"""Each command as people type it, right and wrong: what is told, the exit status, and never a traceback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import orchestrator
from orchestrator import cli
from orchestrator.testing import Phantom
from tests.data.faults import ct
from tests.data.models import rule, write_model
from tests.parts.archive.dcmtk import free_port
from tests.parts.service import run_command

RUN_KEYS = [
    *("series", "model", "version", "rule", "outcome", "reason", "device", "objects"),
    *("measurements", "findings", "seconds"),
]
FAULTY_RULES = """
[[rule]]
name = "lungs"
model = "bone-volum"
[rule.when]
Modalty = "CT"
SliceThickness = { max = "three" }

[[rule]]
name = "lungs"
modell = "x"
"""
FAULTY_SETTINGS = """
[receiver]
prot = 11112
quiet_seconds = "soon"
[[destination]]
name = "pacs"
url = "dimse://PACS@127.0.0.1"
"""


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give the command line, run in this process as its console script does."""

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr("sys.argv", ["orchestrator", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return run


@dataclass(frozen=True)
class Site:
    """A folder with one finished run, the settings that name its ledger, and the key of its only job."""

    folder: Path
    report: list[dict[str, object]]
    key: str

    @property
    def settings(self) -> list[str]:
        return ["--settings", str(self.folder / "settings.toml")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return _site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of the test's own, to be changed."""
    return _site(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    return tmp_path / "nowhere"


def _site(folder: Path) -> Site:
    ct(folder / "input")
    ended = run_command("run", folder / "input", folder / "output", "--json", folder / "report.json")
    assert ended.returncode == 0, ended.stderr
    state = folder / "output" / ".orchestrator"
    (folder / "settings.toml").write_text(
        f'[data]\nfolder = "{state}"\ndatabase = "sqlite:///{state / "ledger.db"}"\n[receiver]\nport = {free_port()}\n'
    )
    listed = run_command("jobs", "list", "--json", "--settings", folder / "settings.toml")
    (job,) = json.loads(listed.stdout)
    return Site(folder, json.loads((folder / "report.json").read_text()), job["key"])


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


# --- run ---------------------------------------------------------------------------------------------------


def test_run_reports_with_exactly_the_documented_keys(finished: Site) -> None:
    (outcome,) = finished.report
    assert list(outcome) == RUN_KEYS
    assert [list(item) for item in outcome["objects"]] == [["kind", "uid", "path"]] * 2
    assert [list(item) for item in outcome["measurements"]] == [["name", "value", "unit", "segment"]]
    assert set(outcome["seconds"]) == {"complete", "read", "infer", "write", "deliver"}
    assert all(Path(item["path"]).is_file() for item in outcome["objects"])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["nofolder", "out"], "there is no folder nofolder"),
        (["file.txt", "out"], "there is no folder file.txt; it is a file"),
        (["input", "file.txt"], "file.txt cannot be made a folder for results: File exists"),
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


# --- jobs --------------------------------------------------------------------------------------------------


def test_jobs_in_a_folder_without_a_ledger_is_no_empty_list(command: Command, nowhere: Path) -> None:
    ended = command("jobs", "list")
    assert ended.status == 2
    assert "there is no ledger at" in ended.err
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("arguments", [["jobs", "list"], ["jobs", "retry", "abcdef"], ["doctor"]], ids=" ".join)
def test_a_database_that_is_away_or_none_is_told_in_one_sentence(
    command: Command, nowhere: Path, arguments: list[str]
) -> None:
    (nowhere / "noise.db").write_bytes(bytes(range(256)) * 8)
    for url, said in (
        (f"postgresql://nobody@127.0.0.1:{free_port()}/ledger", "Connection refused"),
        ("sqlite:///noise.db", "file is not a database"),
    ):
        (nowhere / "orchestrator.toml").write_text(f'[receiver]\nport = {free_port()}\n[data]\ndatabase = "{url}"\n')
        ended = command(*arguments)
        assert ended.status == 1
        assert "the database cannot be used: " in ended.out + ended.err
        assert said in ended.out + ended.err


def test_jobs_list_and_show_a_job_by_the_first_digits_of_its_key(command: Command, finished: Site) -> None:
    (job,) = command("jobs", "list", "--json", "--state", "done", *finished.settings).json
    shown = command("jobs", "show", job["key"][:6], "--json", *finished.settings).json
    assert shown["job"] == job
    assert {row["state"] for row in shown["deliveries"]} == {"confirmed"}
    assert [event["kind"] for event in shown["events"]][-1] == "job.done"


def test_jobs_tables_show_keys_that_can_be_copied(command: Command, finished: Site) -> None:
    assert f" {finished.key[:12]} " in command("jobs", "list", *finished.settings).out


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_jobs_names_an_unknown_key(command: Command, finished: Site, verb: str) -> None:
    ended = command("jobs", verb, "abcdef", *finished.settings)
    assert ended.status == 2
    assert "no job abcdef in the ledger" in ended.err


def test_jobs_list_names_an_unknown_state(command: Command, finished: Site) -> None:
    ended = command("jobs", "list", "--state", "faild", *finished.settings)
    assert ended.status == 2
    assert "'faild' is not one of 'waiting'" in ended.err


def test_a_job_that_is_done_is_neither_retried_nor_cancelled(command: Command, finished: Site) -> None:
    retried = command("jobs", "retry", finished.key, *finished.settings)
    cancelled = command("jobs", "cancel", finished.key, *finished.settings)
    assert (retried.status, cancelled.status) == (2, 2)
    assert "is done; what can be tried again is failed, parked, held, unsupported or not-applicable" in retried.err
    assert "this result was delivered; reject it: orchestrator results reject" in cancelled.err


# --- results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["--by", "--organization", "--reason"])
def test_a_verdict_needs_who_and_why(command: Command, finished: Site, missing: str) -> None:
    told = {"--by": "Dr Curie", "--organization": "Radium", "--reason": "wrong"}
    options = [part for name, value in told.items() if name != missing for part in (name, value)]
    ended = command("results", "reject", finished.key, *options, *finished.settings)
    assert ended.status == 2
    assert f"Missing option '{missing}'" in ended.err


def test_a_verdict_needs_a_name_that_is_not_blank(command: Command, finished: Site) -> None:
    ended = command("results", "accept", finished.key, "--by", " ", "--organization", "Radium", *finished.settings)
    assert (ended.status, ended.err.strip()) == (2, "error: a verdict needs the reviewer's name and organisation")


def test_a_verdict_on_an_unknown_result_is_refused(command: Command, finished: Site) -> None:
    ended = command("results", "accept", "abcdef", "--by", "Dr Curie", "--organization", "R", *finished.settings)
    assert ended.status == 2
    assert "no job abcdef in the ledger" in ended.err


def test_verdicts_are_kept_and_a_second_reviewer_is_told_of_the_first(command: Command, site: Site) -> None:
    curie = ["--by", "Dr Curie", "--organization", "Radium"]
    bell = ["--by", "Dr Bell", "--organization", "Pulsar"]
    assert command("results", "list", "--state", "pending", "--json", *site.settings).json[0]["job"]["key"] == site.key
    accepted = command("results", "accept", site.key, *curie, "--comment", "well outlined", *site.settings)
    again = command("results", "accept", site.key, *bell, *site.settings)
    rejected = command("results", "reject", site.key, *bell, "--reason", "wrong-side", *site.settings)
    assert (accepted.status, accepted.out.strip()) == (0, f"result {site.key[:12]} is accepted")
    assert again.status == 2
    assert "Dr Curie already accepted this at" in again.err
    assert f"result {site.key[:12]} is rejected (wrong-side); Dr Curie (Radium) had accepted it at" in rejected.out
    reviews = command("results", "show", site.key, "--json", *site.settings).json["reviews"]
    assert [(review["state"], review["by"]) for review in reviews] == [
        *(("pending", ""), ("accepted", "Dr Curie"), ("rejected", "Dr Bell")),
    ]


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
    assert (found["watch of pacs"]["health"], found["watch of pacs"]["found"]) == ("warning", "last look: never")


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
    told = f"failed: the receiver cannot listen on 127.0.0.1 port {port}: Address already in use"
    assert (ended.returncode, ended.stderr.strip()) == (1, told)
