"""The reference says what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.config import load_settings
from orchestrator.config.environment import fields
from tests.docs.settings import PAGE as FILE
from tests.docs.settings import page

PAGE = FILE.read_text("utf-8")


def test_the_page_holds_the_generated_tables() -> None:
    assert page() == PAGE, "python -m tests.docs.settings writes them"


@pytest.mark.parametrize("key", [key for key, _, _ in fields()])
def test_every_setting_is_described(key: tuple[str | int, ...]) -> None:
    (field,) = [field for known, _, field in fields() if known == key]
    assert field.description
    assert field.description.endswith(".")


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_of_the_page_is_sound(example: str, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(example)
    assert load_settings(tmp_path / "orchestrator.toml", {}).archives
