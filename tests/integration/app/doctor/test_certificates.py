"""doctor says until when this host's certificates are valid."""

from __future__ import annotations

import pytest

from orchestrator.app.doctor.certificates import check_own_certificates
from orchestrator.app.doctor.check import Health
from orchestrator.config import Settings
from tests.parts.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def settings(receiver: Pair | None = None, destination: Pair | None = None) -> Settings:
    said: dict[str, object] = {}
    if receiver:
        files = {"certificate_file": receiver.certificate, "key_file": receiver.key}
        said["receiver_tls"] = {"enabled": True, "require_certificate": False, **files}
    if destination:
        files = {"certificate_file": destination.certificate, "key_file": destination.key}
        said["destination"] = [{"name": "pacs", "url": "dimse+tls://PACS@127.0.0.1:11112", **files}]
    return Settings.model_validate(said)


@pytest.mark.parametrize(("expired", "health"), [(False, Health.WARNING), (True, Health.BAD)])
def test_a_certificate_that_ends_is_told_in_time(authority: Authority, expired: bool, health: Health) -> None:
    pair = authority.issue("receiver", expired=expired)
    (check,) = check_own_certificates(settings(receiver=pair))
    assert (check.name, check.health) == ("receiver TLS certificate", health)


def test_one_that_is_good_for_long_is_good(authority: Authority) -> None:
    pair = authority.issue("long", days=400)
    (check,) = check_own_certificates(settings(destination=pair))
    assert (check.name, check.health) == ("certificate for pacs", Health.GOOD)


@pytest.mark.parametrize("purpose", ["clientAuth", "serverAuth"])
def test_a_certificate_for_one_purpose_is_read_as_well(authority: Authority, purpose: str) -> None:
    pair = authority.issue(purpose, days=400, purpose=purpose)
    receiver, destination = (pair, None) if purpose == "serverAuth" else (None, pair)
    (check,) = check_own_certificates(settings(receiver, destination))
    assert check.health is Health.GOOD


def test_a_key_of_another_certificate_is_told(authority: Authority) -> None:
    mixed = Pair(authority.issue("one").certificate, authority.issue("two").key)
    (check,) = check_own_certificates(settings(receiver=mixed))
    assert check.health is Health.BAD
