import pytest

from orchestrator.archive import connect
from orchestrator.domain.errors import UserError


@pytest.mark.parametrize(
    "url",
    [
        "dimse://PACS@10.0.0.5:104",
        "dimse+tls://PACS@pacs:2762",
        "dimse://MY%20PACS@pacs.hospital:11112",
        "file:///data/in",
    ],
)
def test_an_archive_is_named_by_its_url(url: str) -> None:
    assert connect(url, name="pacs").name == "pacs"


def test_a_percent_sign_spells_what_a_url_cannot() -> None:
    assert "MY PACS" in str(connect("dimse://MY%20PACS@host:104", name="pacs"))


@pytest.mark.parametrize("url", ["ftp://x/y", "dicomtls://x", "/data/in", ""])
def test_an_unknown_scheme_names_those_there_are(url: str) -> None:
    with pytest.raises(UserError, match=r"use one of dimse://AET@host:port, dimse\+tls://"):
        connect(url, name="pacs")


@pytest.mark.parametrize(
    "url",
    [
        "dimse://10.0.0.5:104",
        "dimse+tls://10.0.0.5:104",
        "dimse://PACS@10.0.0.5",
        "dimse://PACS@10.0.0.5:99999",
        "dimse://PACS@:104",
        "dimse://A-TITLE-TOO-LONG-FOR-DICOM@host:104",
        "dimse://PACS@host:104/path",
        "file://relative/folder",
    ],
)
def test_a_wrong_address_shows_a_right_one(url: str) -> None:
    with pytest.raises(UserError, match=r"write (dimse|dimse\+tls|file)://"):
        connect(url, name="pacs")


def test_our_own_title_is_checked_too() -> None:
    with pytest.raises(UserError, match="is not an AE title"):
        connect("dimse://PACS@host:104", name="pacs", ae_title="A TITLE THAT IS TOO LONG")


def test_a_c_move_needs_somebody_to_send_to() -> None:
    with pytest.raises(UserError, match="enable it, or set move_to"):
        connect("dimse://PACS@host:104", name="pacs", retrieve="move")
