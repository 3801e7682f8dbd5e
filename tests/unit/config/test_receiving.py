"""The settings of the receiver beyond its plain port: AE titles, TLS, senders, SOP classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.service.receiver import entities_of
from orchestrator.archive import Entity
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError

TLS = '[receiver_tls]\nenabled = true\ncertificate_file = "a.pem"\nkey_file = "a.key"\n'


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "orchestrator.toml"
    file.write_text(text)
    return load_settings(file, {})


def test_an_entity_without_senders_has_those_of_the_receiver(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        '[receiver]\nallow = ["CT1"]\n'
        '[[entity]]\nae_title = "AI_MR"\nallow = ["MR1"]\n[[entity]]\nae_title = "AI_ALL"\n',
    )
    assert entities_of(settings) == [
        Entity("ORCHESTRATOR", frozenset({"CT1"})),
        Entity("AI_MR", frozenset({"MR1"})),
        Entity("AI_ALL", frozenset({"CT1"})),
    ]


def test_tls_is_mutual_and_closes_the_plain_port_unless_told_otherwise(tmp_path: Path) -> None:
    tls = loaded(tmp_path, TLS + 'ca_file = "ca.pem"').receiver_tls
    assert (tls.port, tls.require_certificate, tls.replaces_plain) == (2762, True, True)
    assert not loaded(tmp_path, TLS + 'ca_file = "ca.pem"\nonly = false').receiver_tls.replaces_plain
    assert not loaded(tmp_path, "").receiver_tls.replaces_plain
    assert tls.ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[receiver_tls]\nenabled = true", "needs certificate_file and key_file"),
        (TLS, "require_certificate = true needs ca_file"),
        ("[receiver_tls]\nonly = true", "only = true needs enabled = true"),
        (TLS + "require_certificate = false\nonly = false\nport = 11112", "[receiver] uses port 11112 already"),
        ('[[sender]]\nae_title = "A"\n[[sender]]\nae_title = "A"', "two [[sender]] tables have the AE title 'A'"),
        ('[[sender]]\nae_title = "A"\ncertificate = "sha256:AB:CD"', "64 hexadecimal digits"),
        ('[[archive]]\nname = "a"\nurl = "dimse://A@h:104"\nverdicts = true', "verdicts = true needs watch = true"),
        ('[[sender]]\nae_title = "READER"\nverdicts = true', "verdicts = true needs certificate"),
        ('[receiver]\naccept = "everything"', "'everything' is not a SOP Class UID"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, text)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("written", "accept"),
    [('"any"', ("any",)), ('["storage", "1.2.3"]', ("storage", "1.2.3")), ('["1.2.3"]', ("1.2.3",))],
)
def test_objects_to_take_are_a_word_or_a_list(tmp_path: Path, written: str, accept: tuple[str, ...]) -> None:
    assert loaded(tmp_path, f"[receiver]\naccept = {written}").receiver.accept == accept
