"""Settings that work without being set, and what is refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pydantic
import pytest

from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError

EGRESS = 'name = "triton"\nurl = "http://127.0.0.1:8000"\npurpose = "a test"\n'
SENDER = '[[sender]]\nae_title = "CT1"\n'
ENTITY = '[[entity]]\nae_title = "AI_MR"\n'
REMOTE = 'name = "pacs"\nurl = "dimse://PACS@127.0.0.1:4242"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orchestrator.toml"


def loaded(file: Path, text: str) -> Settings:
    file.write_text(text)
    return load_settings(file, {})


def fault_of(file: Path, text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        loaded(file, text)
    return str(raised.value)


def test_without_settings_everything_is_on_this_machine() -> None:
    settings = load_settings(None, {})
    assert (settings.receiver.host, settings.receiver.port, settings.receiver.ae_title) == (
        "127.0.0.1",
        11112,
        "ORCHESTRATOR",
    )
    assert (settings.web.host, settings.web.port, settings.worker.sandbox) == ("127.0.0.1", 8080, "best")
    assert settings.rules.file is None
    assert not settings.archives
    assert not settings.destinations


def test_without_settings_data_lies_below_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert settings.data.folder == tmp_path / "data"
    assert settings.data.database == f"sqlite:///{tmp_path}/data/orchestrator.db"
    assert Settings().data == settings.data


def test_the_shape_of_the_interface_is_taken(file: Path) -> None:
    settings = loaded(
        file,
        '[receiver]\nallow = ["CT1", "MR2"]\n[[archive]]\nname = "pacs"\nurl = "orthanc+http://127.0.0.1:8042"\n'
        f'watch = true\n[[destination]]\n{REMOTE}seg = "labelmap"\nconfirm = "readback"\n',
    )
    assert settings.receiver.allow == ("CT1", "MR2")
    assert (settings.archives[0].watch, settings.destinations[0].seg) == (True, "labelmap")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(pydantic.ValidationError):
        load_settings(None, {}).receiver.port = 1  # type: ignore[misc]


def test_relative_paths_start_at_the_folder_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = loaded(
        file,
        '[data]\nfolder = "d"\ndatabase = "sqlite:///e/x.db"\n[rules]\nfile = "r.toml"\n'
        '[models]\nfolders = ["m", "/abs"]\nplugins = ["p"]\nweights = "w"\n',
    )
    folder = file.parent
    assert (settings.data.folder, settings.rules.file) == (folder / "d", folder / "r.toml")
    assert settings.data.database == f"sqlite:///{folder}/e/x.db"
    assert settings.models.folders == (folder / "m", Path("/abs"))
    assert (settings.models.plugins, settings.models.weights) == ((folder / "p",), folder / "w")


def test_defaults_start_at_the_folder_of_the_file_too(file: Path) -> None:
    settings = loaded(file, "[receiver]\nport = 1")
    assert settings.data.folder == file.parent / "data"
    assert settings.data.database == f"sqlite:///{file.parent}/data/orchestrator.db"


def test_a_path_may_begin_at_home(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert loaded(file, '[models]\nfolders = ["~/models"]').models.folders == (Path("/home/somebody/models"),)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            "[receiver]\nquiet_second = 3",
            2,
            "'quiet_second' is not a setting of [receiver]. Did you mean 'quiet_seconds'?",
        ),
        ("[recever]\nport = 3", 1, "'recever' is not a setting. Did you mean 'receiver'?"),
        (f"[[archives]]\n{REMOTE}", 1, "Did you mean 'archive'?"),
        (f"[archive]\n{REMOTE}", 1, "archive is a list of tables; write [[archive]]"),
        ("receiver = 3", 1, "receiver is a table; write [receiver]"),
        ("[[receiver]]\nport = 3", 1, "receiver is a table; write [receiver]"),
        ("[receiver]\n\nport = 70000", 3, "port should be less than or equal to 65535, found 70000"),
        ('[receiver]\nport = "11112"', 2, "port should be a valid integer, found '11112'"),
        ("[receiver]\nport = true", 2, "port should be a valid integer, found True"),
        ("[receiver]\nenabled = 1", 2, "enabled should be a valid boolean, found 1"),
        ("[receiver]\nquiet_seconds = nan", 2, "quiet_seconds should be"),
        ("[receiver]\nquiet_seconds = -1", 2, "quiet_seconds should be greater than or equal to 0, found -1"),
        ('[receiver]\nae_title = "SEVENTEEN_LETTERS"', 2, "1 to 16 ASCII characters"),
        ('[receiver]\nae_title = "  "', 2, "is not an AE title"),
        ("[receiver]\nae_title = 'A\\B'", 2, "is not an AE title"),
        ('[receiver]\nallow = "CT1"', 2, "allow should be a valid array, found 'CT1'"),
        ('[receiver]\nallow = [\n"CT1",\n7]', 4, "allow, number 2, should be a valid string, found 7"),
        ('[receiver]\nhost = "0.0.0.0"', 2, "lets everybody on the network send"),
        ('[receiver]\nhost = "::"', 2, "lets everybody on the network send"),
        ('[receiver]\nhost = "999.1.1.1"', 2, "is not an address"),
        ('[receiver]\nhost = "not a host"', 2, "is not an address"),
        ('[web]\nhost = "0.0.0.0"', 2, "write 127.0.0.1 until there is a login"),
        ("[web]\nport = 11112", 1, "[receiver] uses port 11112 already"),
        ('[[archive]]\nname = "a"', 1, "[[archive]] needs url; write it here, or set ORCHESTRATOR_ARCHIVE__0__URL"),
        ('[[archive]]\nname = "a b"\nurl = "file:///x"', 2, "name may have letters"),
        ('[[archive]]\nname = "a"\nurl = "/data"', 3, "url must be dimse://AET@host:port"),
        ('[[archive]]\nname = "a"\nurl = "dimse://host:104"', 3, "needs AE title, host and port"),
        ('[[archive]]\nname = "a"\nurl = "dimse://AET@host"', 3, "needs AE title, host and port"),
        ('[[archive]]\nname = "a"\nurl = "dimse://AET@host:port"', 3, "url is not valid"),
        ('[[archive]]\nname = "a"\nurl = "dimse://SEVENTEEN_LETTERS@host:1"', 3, "is not an AE title"),
        (
            '[[archive]]\nname = "a"\nurl = "orthanc+http://user@host"',
            3,
            "orthanc+http://host:port, with or without a path",
        ),
        (
            '[[archive]]\nname = "a"\nurl = "dicomweb+https:///rs"',
            3,
            "dicomweb+https://host:port, with or without a path",
        ),
        ('[[archive]]\nname = "a"\nurl = "dicomweb+http://host/rs?x=1"', 3, "no user, no query"),
        ('[[archive]]\nname = "a"\nurl = "file://data/x"', 3, "file:///data/archive"),
        (f"[[archive]]\n{REMOTE}[[archive]]\n{REMOTE}", 1, "two tables have the name 'pacs'"),
        (f'[[archive]]\n{REMOTE}username = "u"', 4, "remove username"),
        ('[[archive]]\nname = "a"\nurl = "dimse://AET@host:104/x"', 3, "needs AE title, host and port"),
        ('[[archive]]\nname = "a"\nurl = "dimse+tls://host:2762"', 3, "dimse+tls://AET@host:port"),
        (
            f'[[archive]]\n{REMOTE}ca_file = "ca.pem"',
            4,
            "ca_file has no effect, since dimse urls have no TLS; write dimse+tls://",
        ),
        (f'[[archive]]\n{REMOTE}certificate_file = "c.pem"', 4, "certificate_file has no effect"),
        (f'[[archive]]\n{REMOTE}retrieve = "pull"', 4, "should be 'get' or 'move', found 'pull'"),
        (f'[[archive]]\n{REMOTE}move_to = "A TITLE OF 18 CHARS"', 4, "is not an AE title"),
        (
            f'[[destination]]\n{REMOTE}confirm = "maybe"',
            4,
            "should be 'readback', 'commitment' or 'none', found 'maybe'",
        ),
        (f'[[destination]]\n{REMOTE}window = "at night"', 4, "is not a range of hours; write 20:00-06:00"),
        (f'[[destination]]\n{REMOTE}window = "20:00-06:00 Mars"', 4, "is not a time zone of this machine"),
        (f"[[destination]]\n{REMOTE}per_minute = 0", 4, "greater than or equal to 1"),
        (f'[[destination]]\n{REMOTE}ask = false\nconfirm = "readback"', 5, 'write confirm = "none"'),
        ('[data]\ndatabase = "mysql://x"', 2, "database must be sqlite:///FILE or postgresql://"),
        ('[data]\ndatabase = "sqlite:///"', 2, "database must be sqlite:///FILE or postgresql://"),
        ("[data]\nfolder = 2024-01-31", 2, "folder should be a valid string"),
        ('[worker]\nsandbox = "on"', 2, "sandbox should be 'required', 'best' or 'off', found 'on'"),
        ('[engine]\nexecutor_id = "a b"', 2, "executor_id may have letters"),
        ("[receiver\n", 1, "Expected ']'"),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(file: Path, text: str, line: int, sentence: str) -> None:
    fault = fault_of(file, text)
    assert fault.startswith(f"{file}:{line}: ")
    assert sentence in fault
    assert len(fault.splitlines()) == 1


def test_all_faults_are_reported_together(file: Path) -> None:
    file.write_text("x = 1\n[receiver]\nport = -1\n[web]\nhost = '0.0.0.0'\n")
    with pytest.raises(SettingsError) as raised:
        load_settings(file, {"ORCHESTRATOR_WORKER__SLOTS": "0", "ORCHESTRATOR_X": "1"})
    starts = [line.split(" ")[0] for line in str(raised.value).splitlines()]
    assert starts == [f"{file}:1:", f"{file}:3:", f"{file}:5:", "ORCHESTRATOR_X:", "ORCHESTRATOR_WORKER__SLOTS:"]


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read: No such file or directory\.$"):
        load_settings(tmp_path / "none.toml", {})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "pacs.hospital.example"])
def test_the_receiver_listens_on_the_network_where_senders_are_named(file: Path, host: str) -> None:
    assert loaded(file, f'[receiver]\nallow = ["CT1"]\nhost = "{host}"').receiver.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_no_list_of_senders(file: Path, host: str) -> None:
    assert loaded(file, f'[receiver]\nhost = "{host}"\n[web]\nhost = "{host}"').web.host == host


def test_what_is_switched_off_may_have_any_address(file: Path) -> None:
    text = '[receiver]\nenabled = false\nhost = "0.0.0.0"\n[web]\nenabled = false\nhost = "0.0.0.0"\nport = 11112'
    assert not loaded(file, text).receiver.enabled


def test_an_ae_title_loses_the_spaces_around_it(file: Path) -> None:
    assert loaded(file, '[receiver]\nae_title = " AI "').receiver.ae_title == "AI"


def test_what_is_shown_can_be_loaded_again(file: Path) -> None:
    settings = loaded(
        file,
        '[receiver]\nallow = ["CT\\"1"]\nhost = "0.0.0.0"\nquiet_seconds = 0.5\n[rules]\nfile = "é.toml"\n'
        '[[archive]]\nname = "a"\nurl = "file:///a"\nwatch = true\n'
        f'[[destination]]\n{REMOTE}ask = false\nconfirm = "none"\n',
    )
    assert loaded(file, settings.shown()) == settings


@pytest.mark.parametrize("text", ['[receiver]\nae_title = "AI_MR"\n' + ENTITY, ENTITY + ENTITY])
def test_an_ae_title_is_given_once(file: Path, text: str) -> None:
    assert "two tables have the AE title 'AI_MR'" in fault_of(file, text)


def test_json_has_the_names_of_the_file(file: Path) -> None:
    values = json.loads(loaded(file, f"[[archive]]\n{REMOTE}").to_json())
    assert values["archive"][0]["name"] == "pacs"
    lists = f"[[archive]]\n{REMOTE}[[destination]]\n{REMOTE}[[egress]]\n{EGRESS}{ENTITY}{SENDER}"
    assert values.keys() == tomllib.loads(loaded(file, lists).shown()).keys()
