"""Secrets come from files or the environment and never go out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError

SECRET = "gehe!m/1:@"
ARCHIVE = '[[archive]]\nname = "a"\nurl = "dicomweb+https://h/dicom-web"\nusername = "u"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return tmp_path / "orchestrator.toml"


def loaded(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text)
    return load_settings(file, environ)


def fault_of(file: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as raised:
        loaded(file, text, **environ)
    return str(raised.value)


@pytest.mark.parametrize(
    "give",
    [
        lambda file: loaded(file, ARCHIVE + 'password_file = "secret"'),
        lambda file: loaded(file, ARCHIVE, ORCHESTRATOR_ARCHIVE__0__PASSWORD=SECRET),
        lambda file: loaded(file, ARCHIVE, ORCHESTRATOR_ARCHIVE__0__PASSWORD_FILE=str(file.with_name("secret"))),
    ],
)
def test_a_password_comes_from_a_file_or_the_environment(file: Path, give: Callable[[Path], Settings]) -> None:
    settings = give(file)
    assert settings.archives[0].password.get_secret_value() == SECRET
    for told in (settings.shown(), settings.to_json(), repr(settings), str(settings)):
        assert SECRET not in told


def test_a_password_of_the_database_is_put_into_its_url(file: Path) -> None:
    text = '[data]\ndatabase = "postgresql://u@db:5432/n"\ndatabase_password_file = "secret"'
    settings = loaded(file, text)
    assert settings.data.database == "postgresql://u:gehe%21m%2F1%3A%40@db:5432/n"
    assert "gehe" not in settings.shown() + settings.to_json()
    assert "# database = postgresql://u:********@db:5432/n" in settings.shown()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (ARCHIVE + f'password = "{SECRET}"', 5),
        (ARCHIVE.replace("//h", "//u:geheim@h"), 3),
        ('[data]\ndatabase = "postgresql://u:geheim@h/n"', 2),
    ],
)
def test_a_secret_in_the_settings_file_is_refused_and_not_repeated(file: Path, text: str, line: int) -> None:
    fault = fault_of(file, text)
    assert fault.startswith(f"{file}:{line}: ")
    assert "does not belong in this file" in fault
    assert "gehe" not in fault


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ARCHIVE + 'password_file = "none"', "cannot be read: No such file or directory"),
        (ARCHIVE + 'password_file = "empty"', "is empty"),
        (ARCHIVE + 'password_file = "binary"', "it is not UTF-8 text"),
        ('[data]\ndatabase = "postgresql://h/n"\ndatabase_password_file = "secret"', "needs a user and no password"),
    ],
)
def test_a_secret_that_cannot_be_used_is_one_sentence(file: Path, text: str, sentence: str) -> None:
    file.with_name("empty").touch()
    file.with_name("binary").write_bytes(b"\xff\xfe")
    assert sentence in fault_of(file, text)


def test_a_password_is_given_once(file: Path) -> None:
    fault = fault_of(file, ARCHIVE + 'password_file = "secret"', ORCHESTRATOR_ARCHIVE__0__PASSWORD="x")
    assert fault == "ORCHESTRATOR_ARCHIVE__0__PASSWORD: set either password or password_file, not both."


@pytest.mark.parametrize("key", ["token", "url", "username"])
def test_a_fault_in_a_key_that_may_hold_a_secret_does_not_repeat_it(file: Path, key: str) -> None:
    text = ARCHIVE.replace('username = "u"\n', "").replace('url = "dicomweb+https://h/dicom-web"\n', "")
    assert "4711" not in fault_of(file, f"{text}{key} = 4711\n" + ('url = "file:///x"' if key != "url" else ""))
