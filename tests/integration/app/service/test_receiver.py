"""The receiver that the settings describe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.installation.paths import notification_socket_of
from orchestrator.app.service.receiver import receiver_of
from orchestrator.archive import Notifier, Receiver
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError
from tests.parts.archive.dcmtk import echoscu
from tests.parts.certificates import Authority, Pair

SETTINGS = """
[receiver]
allow = ["CT1"]
port = 0

[receiver_tls]
enabled = true
port = 0
certificate_file = "tls/host.pem"
key_file = "tls/host.key"
ca_file = "tls/authority.pem"
only = {only}

[[entity]]
ae_title = "AI_MR"
allow = ["MR1"]

[[sender]]
ae_title = "MR1"
certificate = "mr1"
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "tls")
    made.issue("host")
    return made


def settings(folder: Path, *, only: bool = False) -> Settings:
    file = folder / "orchestrator.toml"
    file.write_text(SETTINGS.format(only=str(only).lower()))
    return load_settings(file, {})


@pytest.fixture
def receiver(authority: Authority, tmp_path: Path) -> Iterator[Receiver]:
    told = settings(tmp_path)
    with closing(Notifier(notification_socket_of(told))) as notifier:
        running = receiver_of(told, notifier)
        running.start()
        yield running
        running.stop()


def test_both_ports_titles_and_bindings_are_as_they_are_written(receiver: Receiver, authority: Authority) -> None:
    ct1, mr1 = options(authority.issue("ct1"), authority), options(authority.issue("mr1"), authority)
    ways = [
        (receiver.port, [], "CT1", "ORCHESTRATOR"),
        (receiver.port, [], "MR1", "AI_MR"),
        (receiver.tls_port, ct1, "CT1", "ORCHESTRATOR"),
        (receiver.tls_port, ct1, "CT1", "AI_MR"),
        (receiver.tls_port, ct1, "MR1", "AI_MR"),
        (receiver.tls_port, mr1, "MR1", "AI_MR"),
        (receiver.tls_port, mr1, "CT1", "ORCHESTRATOR"),  # the certificate is bound to MR1
    ]
    answers = [echoscu(port, *tls, calling=calling, called=called) for port, tls, calling, called in ways]
    assert [answer.returncode == 0 for answer in answers] == [True, False, True, False, False, True, False]


def options(pair: Pair, authority: Authority) -> list[str]:
    return ["+tls", str(pair.key), str(pair.certificate), "+cf", str(authority.certificate)]


def test_a_key_that_is_missing_is_named_before_anything_listens(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "tls/host.key").unlink()
    told = settings(tmp_path, only=True)
    with closing(Notifier(notification_socket_of(told))) as notifier, pytest.raises(SettingsError, match=r"host\.key"):
        receiver_of(told, notifier)
