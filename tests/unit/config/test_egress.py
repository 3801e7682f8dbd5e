"""A row of [[egress]]: what it must say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import SettingsError

ROW = '[[egress]]\nname = "triton"\nurl = "http://triton:8000"\npurpose = "bone on the GPU machine"\n'


def _read(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "orchestrator.toml").write_text(text)
    return load_settings(folder / "orchestrator.toml", environ)


def test_without_a_row_nothing_is_allowed() -> None:
    assert load_settings(None, {}).egress == ()


@pytest.mark.parametrize("written", ["2030-12-31", '"2030-12-31"'])
def test_the_last_day_is_a_day_of_toml_or_text(tmp_path: Path, written: str) -> None:
    (row,) = _read(tmp_path, f"{ROW}expires = {written}\n").egress
    assert row.expires == date(2030, 12, 31)


def test_the_last_day_comes_from_the_environment_too(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, ROW, ORCHESTRATOR_EGRESS__0__EXPIRES="2030-12-31").egress
    assert row.expires == date(2030, 12, 31)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("expires = 2030-12-31T10:00:00", "not a day"),
        ("expires = 7", "not a day"),
        ('kind = "mail"', "kind"),
        ('profile = "everything"', "profile"),
        ('purpose = ""', "purpose"),
        ('url = "ftp://triton"', "url must be http://host:port"),
        ('url = "http://user@triton"', "no user"),
        ('url = "http://triton/a/../b"', "url must be http://host:port"),
        ('token = "x"', "'token' is not a setting of [egress]"),
    ],
)
def test_a_faulty_row_is_named_with_its_line(tmp_path: Path, line: str, named: str) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(known for known in ROW.splitlines() if not known.startswith(f"{key} "))
    with pytest.raises(SettingsError, match=r"orchestrator\.toml:\d") as told:
        _read(tmp_path, f"{kept}\n{line}\n")
    assert named in str(told.value)


def test_two_rows_have_two_names(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two tables have the name 'triton'"):
        _read(tmp_path, ROW + ROW)
