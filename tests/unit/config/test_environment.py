"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import load_settings
from orchestrator.domain.errors import SettingsError


def fault_of(**environ: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(None, environ)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ORCHESTRATOR_RECEIVER__PORT", "104", 104),
        ("ORCHESTRATOR_RECEIVER__ENABLED", "false", False),
        ("ORCHESTRATOR_RECEIVER__QUIET_SECONDS", "0.5", 0.5),
        ("ORCHESTRATOR_RECEIVER__AE_TITLE", "123", "123"),
        ("ORCHESTRATOR_RECEIVER__ALLOW", "CT1, MR2,", ("CT1", "MR2")),
        ("ORCHESTRATOR_WORKER__SANDBOX", "required", "required"),
        ("ORCHESTRATOR_RULES__FILE", "/etc/rules.toml", Path("/etc/rules.toml")),
        ("ORCHESTRATOR_MODELS__FOLDERS", "/a,/b", (Path("/a"), Path("/b"))),
        ("ORCHESTRATOR_DATA__DATABASE", "postgresql://u:p@h/n", "postgresql://u:p@h/n"),
    ],
)
def test_a_variable_sets_its_setting(name: str, text: str, value: object) -> None:
    section, key = name.removeprefix("ORCHESTRATOR_").lower().split("__")
    assert getattr(getattr(load_settings(None, {name: text}), section), key) == value


def test_the_environment_has_the_last_word_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "o.toml"
    file.write_text('[receiver]\nport = 1\nae_title = "FILE"')
    receiver = load_settings(file, {"ORCHESTRATOR_RECEIVER__PORT": "2"}).receiver
    assert (receiver.port, receiver.ae_title) == (2, "FILE")


def test_a_table_of_a_list_is_changed_or_added_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "o.toml"
    file.write_text('[[archive]]\nname = "a"\nurl = "file:///a"')
    settings = load_settings(
        file,
        {
            "ORCHESTRATOR_ARCHIVE__0__WATCH": "true",
            "ORCHESTRATOR_ARCHIVE__1__NAME": "b",
            "ORCHESTRATOR_ARCHIVE__1__URL": "file:///b",
        },
    )
    assert [(archive.name, archive.watch) for archive in settings.archives] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ORCHESTRATOR_RECEIVER__PRT", "Did you mean 'ORCHESTRATOR_RECEIVER__PORT'?"),
        ("ORCHESTRATOR_RECEIVER_PORT", "Did you mean 'ORCHESTRATOR_RECEIVER__PORT'?"),
        ("ORCHESTRATOR_RECEIVER", "there is no such setting"),
        ("ORCHESTRATOR_", "there is no such setting"),
        ("ORCHESTRATOR_ARCHIVE__NAME", "Did you mean 'ORCHESTRATOR_ARCHIVE__0__NAME'?"),
        ("ORCHESTRATOR_RECEIVER__0__PORT", "Did you mean 'ORCHESTRATOR_RECEIVER__PORT'?"),
        ("ORCHESTRATOR_ARCHIVE__1__NAME", "there is no table number 1"),
        ("ORCHESTRATOR_RECEIVER__PORT__FILE", "there is no such setting"),
    ],
)
def test_an_unknown_variable_is_a_fault(name: str, hint: str) -> None:
    fault = fault_of(**{name: "1"})
    assert fault.startswith(f"{name}: ")
    assert hint in fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORCHESTRATOR_PORT", "tcp://10.0.0.1:8080"),
        ("ORCHESTRATOR_SERVICE_HOST", "10.0.0.1"),
        ("ORCHESTRATOR_SERVICE_PORT", "8080"),
        ("ORCHESTRATOR_SERVICE_PORT_HTTP", "8080"),
        ("ORCHESTRATOR_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("ORCHESTRATOR_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("ORCHESTRATOR_PORT_11112_TCP_PORT", "11112"),
        ("ORCHESTRATOR_PORT_8080_TCP_PROTO", "tcp"),
        ("ORCHESTRATOR_WEB_SERVICE_HOST", "10.0.0.1"),
        ("ORCHESTRATOR_WEB_PORT", "tcp://10.0.0.1:8080"),
        ("ORCHESTRA", "x"),
        ("PATH", "/bin"),
    ],
)
def test_what_kubernetes_says_about_a_service_is_no_setting(name: str, value: str) -> None:
    assert load_settings(None, {name: value}) == load_settings(None, {})


@pytest.mark.parametrize(("name", "value"), [("ORCHESTRATOR_PORT", "8080"), ("ORCHESTRATOR_WEB_PORT", "8080")])
def test_a_port_that_only_looks_like_a_service_link_is_a_fault(name: str, value: str) -> None:
    assert "there is no such setting" in fault_of(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ORCHESTRATOR_RECEIVER__PORT", "abc", "port should be a valid integer, found 'abc'."),
        ("ORCHESTRATOR_RECEIVER__ENABLED", "perhaps", "enabled should be a valid boolean, found 'perhaps'."),
        ("ORCHESTRATOR_WEB__HOST", "0.0.0.0", "host 0.0.0.0 would show results to everybody"),
    ],
)
def test_a_fault_names_the_variable(name: str, value: str, sentence: str) -> None:
    assert fault_of(**{name: value}).startswith(f"{name}: {sentence}")


def test_any_setting_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1234\n")
    assert load_settings(None, {"ORCHESTRATOR_RECEIVER__PORT_FILE": str(tmp_path / "port")}).receiver.port == 1234


def test_a_setting_given_twice_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1234")
    fault = fault_of(ORCHESTRATOR_RECEIVER__PORT="1", ORCHESTRATOR_RECEIVER__PORT_FILE=str(tmp_path / "port"))
    assert (
        fault
        == "ORCHESTRATOR_RECEIVER__PORT_FILE: ORCHESTRATOR_RECEIVER__PORT sets the same setting; remove one of them."
    )
