"""A service that cannot start says so in one sentence; one that cannot work says so to who asks."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.app.installation.paths import role_states_of
from orchestrator.app.service import supervisor
from orchestrator.app.service.readiness import STEADY_SECONDS, RoleState, faults, write_states
from orchestrator.app.service.role import Role
from orchestrator.app.service.startup import check_startable, data_folder_faults
from orchestrator.config import DataSettings, ReceiverSettings, Settings, WebSettings
from orchestrator.domain.errors import OrchestratorError, SettingsError
from tests.parts.archive.dcmtk import free_port
from tests.parts.service import run_command


def settings(folder: Path, **receiver: object) -> Settings:
    return Settings(
        data=DataSettings(folder=folder),
        receiver=ReceiverSettings(**{"port": free_port(), "minimum_free_mb": 0} | receiver),  # type: ignore[arg-type]
        web=WebSettings(enabled=True, port=free_port()),
    )


def test_serve_without_a_data_folder_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "site.toml").write_text(f'[data]\nfolder = "{tmp_path / "file" / "data"}"\n')
    ended = run_command("serve", "--settings", tmp_path / "site.toml")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: the data folder {tmp_path / 'file' / 'data'} cannot be written (Not a directory)")


@pytest.mark.parametrize(
    ("role", "name"), [(Role.RECEIVER, "the receiver"), (Role.WEB, "the review page")], ids=lambda each: str(each)
)
def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path, role: Role, name: str) -> None:
    options = settings(tmp_path)
    section = options.receiver if role is Role.RECEIVER else options.web
    with socket.create_server(("127.0.0.1", section.port)):
        with pytest.raises(SettingsError, match=rf"{name} cannot listen on .* port {section.port} \(Address already"):
            check_startable(options, [role])
        check_startable(options, set(Role) - {role})
    check_startable(options, list(Role))


def test_a_data_folder_that_is_lost_while_a_role_runs_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match=r"the data folder .* cannot be used"), data_folder_faults(tmp_path):
        (tmp_path / "gone" / "file").touch()
    with pytest.raises(FileNotFoundError), data_folder_faults(tmp_path / "data"):
        (tmp_path / "elsewhere" / "file").touch()


def test_a_database_that_is_away_is_waited_for_and_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[Role] = []

    def start(role: Role, _: object) -> subprocess.Popen[bytes]:
        started.append(role)
        return subprocess.Popen(["sleep", "60"])

    monkeypatch.setattr(supervisor, "_start", start)
    watch = supervisor._DatabaseWatch(f"postgresql://127.0.0.1:{free_port()}/orchestrator")
    roles = [supervisor._RoleProcess(role, None) for role in (Role.RECEIVER, Role.ENGINE, Role.WEB)]
    for item in roles:
        assert item.advance(watch) == 0
    assert started == [Role.RECEIVER]
    assert all("the database cannot be used" in item.state.fault for item in roles[1:])
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    watch.url = f"sqlite:///{tmp_path / 'ledger.db'}"
    for item in roles:
        item.attempted_at -= 60.0
        item.advance(watch)
    assert started == [Role.RECEIVER, Role.ENGINE, Role.WEB]
    assert [item.state.fault for item in roles] == ["", "", ""]
    for item in roles:
        assert item.process is not None
        item.process.kill()
        item.process.wait()


def test_a_role_that_ends_again_and_again_is_not_ready_and_is_once_it_stays_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_start", lambda *_: subprocess.Popen(["false"]))
    watch, item = supervisor._DatabaseWatch("sqlite:///x"), supervisor._RoleProcess(Role.ENGINE, None)
    options = settings(tmp_path)
    for _ in range(3):
        item.attempted_at -= 31.0
        item.advance(watch)
        assert item.process is not None
        item.process.wait()
    write_states(options, {Role.ENGINE: item.state})
    assert faults(options) == {"engine": "restarted 2 times in a row; see the log"}
    write_states(options, {Role.ENGINE: RoleState(2, time.time() - STEADY_SECONDS)})
    assert faults(options) == {}


def test_a_receiver_without_room_is_not_ready(tmp_path: Path) -> None:
    assert (
        "no images are received until there is more space"
        in faults(settings(tmp_path, minimum_free_mb=10**9))["receiver"]
    )
    assert faults(settings(tmp_path, minimum_free_mb=10**9, enabled=False)) == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"engine": {"unknown": 1}}', '{"engine": 3}'])
def test_states_that_cannot_be_read_say_nothing(tmp_path: Path, content: str) -> None:
    options = settings(tmp_path)
    role_states_of(options).write_text(content)
    assert faults(options) == {}


def test_a_setting_that_a_role_refuses_ends_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_start", lambda *_: subprocess.Popen(["sh", "-c", "exit 2"]))
    watch, item = supervisor._DatabaseWatch("sqlite:///x"), supervisor._RoleProcess(Role.ENGINE, None)
    assert item.advance(watch) == 0
    assert item.process is not None
    item.process.wait()
    assert item.advance(watch) == 2
