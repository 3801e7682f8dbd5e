"""doctor says whether OHIF can work: its folder, and the archive that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.installation import check_viewer
from orchestrator.config import Settings
from tests.parts.archive.web_server import Answer, web_server
from tests.parts.ohif import hollow_viewer

JSON = {"Content-Type": "application/dicom+json"}


def look(viewer: Path, url: str) -> Check:
    told = {"web": {"viewer": viewer}, "archive": [{"name": "pacs", "url": url}]}
    return check_viewer(Settings.model_validate(told), viewer)


@pytest.mark.parametrize(
    ("answer", "health", "words"),
    [
        (Answer(200, b"[]", JSON), Health.GOOD, "OHIF shows archive 'pacs'"),
        (Answer(204), Health.GOOD, "OHIF shows archive 'pacs'"),
        (Answer(401), Health.BAD, "check username and password_file"),
        (Answer(404), Health.BAD, "check the path in the url"),
        (Answer(503), Health.BAD, "answers with 503"),
    ],
)
def test_the_archive_is_asked_for_a_study(tmp_path: Path, answer: Answer, health: Health, words: str) -> None:
    with web_server(lambda _: answer) as port:
        check = look(hollow_viewer(tmp_path / "ohif"), f"dicomweb+http://127.0.0.1:{port}/rs")
    assert (check.health, words in check.found) == (health, True), check


def test_a_folder_without_a_viewer_is_told(tmp_path: Path) -> None:
    with web_server(lambda _: Answer(204)) as port:
        check = look(tmp_path, f"dicomweb+http://127.0.0.1:{port}/rs")
    assert (check.health, "run make viewer" in check.found) == (Health.BAD, True)


def test_an_archive_without_dicomweb_is_told(tmp_path: Path) -> None:
    check = look(hollow_viewer(tmp_path / "ohif"), (tmp_path / "folder").as_uri())
    assert (check.health, "no [[archive]] or [[destination]]" in check.found) == (Health.BAD, True)
