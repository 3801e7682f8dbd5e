"""Which archive OHIF shows, by the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.service.ohif import find_archive, open_ohif
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError
from tests.parts.ohif import hollow_viewer

FOLDER = '[[archive]]\nname = "folder"\nurl = "file:///data"\n'
PACS = '[[archive]]\nname = "pacs"\nurl = "orthanc+http://10.0.0.5:8042"\n'
VNA = '[[destination]]\nname = "vna"\nurl = "dicomweb+https://vna.example/rs/"\n'


def settings_of(folder: Path, text: str, web: str = "") -> Settings:
    file = folder / "orchestrator.toml"
    file.write_text(f'{text}[web]\nviewer = "dist"\n{web}', encoding="utf-8")
    return load_settings(file, {})


@pytest.mark.parametrize(
    ("text", "web", "root"),
    [
        (FOLDER + PACS + VNA, "", "'pacs' (http://10.0.0.5:8042/dicom-web)"),
        (FOLDER + VNA, "", "'vna' (https://vna.example/rs)"),
        (PACS + VNA, 'viewer_archive = "vna"', "'vna' (https://vna.example/rs)"),
    ],
)
def test_the_first_archive_with_dicomweb_is_shown_or_the_one_named(tmp_path: Path, text: str, web: str, root: str):
    assert str(find_archive(settings_of(tmp_path, text, web))) == f"archive {root}"


@pytest.mark.parametrize("name", ["folder", "nobody"])
def test_an_archive_without_dicomweb_cannot_be_named(tmp_path: Path, name: str):
    with pytest.raises(SettingsError, match=f"named '{name}' has a url"):
        find_archive(settings_of(tmp_path, FOLDER + PACS, f'viewer_archive = "{name}"'))


def test_without_such_an_archive_there_is_no_viewer_and_the_log_says_why(tmp_path: Path, caplog):
    with open_ohif(settings_of(tmp_path, FOLDER)) as viewer:
        assert viewer is None
    assert "viewer OHIF not available" in caplog.text


def test_a_folder_that_holds_no_viewer_is_told_at_the_start(tmp_path: Path):
    with pytest.raises(SettingsError, match="holds no supported OHIF"), open_ohif(settings_of(tmp_path, PACS)):
        pass


def test_the_viewer_is_taken_from_the_folder_of_the_settings(tmp_path: Path):
    hollow_viewer(tmp_path / "dist")
    with open_ohif(settings_of(tmp_path, PACS)) as viewer:
        assert viewer is not None
        assert viewer.entry == "app.bundle.0123.js"
