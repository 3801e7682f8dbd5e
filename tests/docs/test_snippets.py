"""What a page shows can be copied: each TOML snippet is sound, each plugin runs."""

from __future__ import annotations

import configparser
import json
import tomllib
from pathlib import Path

import pytest

from orchestrator.app.models.try_out import try_model
from orchestrator.config import load_settings
from orchestrator.rules import parse_rules
from orchestrator.testing import synthetic_series
from orchestrator.worker.manifest.schema import Manifest
from tests.docs.pages import Block, blocks

TOML = blocks("toml")
PLUGINS = [block for block in blocks("python") if "def register_models" in block.text]


@pytest.mark.parametrize("block", [block for block in TOML if "[[rule]]" in block.text], ids=str)
def test_rules_are_sound(block: Block) -> None:
    assert parse_rules(block.text).rules


@pytest.mark.parametrize("block", [block for block in TOML if "contract = " in block.text], ids=str)
def test_manifests_are_sound(block: Block) -> None:
    assert Manifest.model_validate(tomllib.loads(block.text.replace("…", "0" * 64))).contract == 1


@pytest.mark.parametrize(
    "block", [block for block in TOML if "[[rule]]" not in block.text and "contract = " not in block.text], ids=str
)
def test_settings_are_sound(block: Block, tmp_path: Path) -> None:
    text = block.text
    for secret in ("/etc/orchestrator/database-password", "/run/secrets/pacs"):
        text = text.replace(secret, "secret")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "orchestrator.toml").write_text(text)
    assert load_settings(tmp_path / "orchestrator.toml", {})


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


def test_the_unit_restarts_the_service() -> None:
    (block,) = blocks("ini")
    unit = configparser.ConfigParser(comment_prefixes="#")
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.text)
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["ReadWritePaths"] in unit["Service"]["WorkingDirectory"]


@pytest.mark.parametrize("block", PLUGINS, ids=str)
def test_a_plugin_of_a_page_runs(block: Block, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shown.py").write_text(block.text)
    (tmp_path / "orchestrator.toml").write_text('[models]\nplugins = ["plugins"]\nweights = "weights"\n')
    settings = load_settings(tmp_path / "orchestrator.toml", {})
    synthetic_series(tmp_path / "images", slices=12)
    name = next(line.split('"')[1] for line in block.text.splitlines() if line.strip().startswith("name"))
    tried = try_model(name, tmp_path / "images", tmp_path / "out", settings)
    assert [item.outcome for item in tried.report.outcomes] == ["done"]
    assert len(tried.pictures) == 1
