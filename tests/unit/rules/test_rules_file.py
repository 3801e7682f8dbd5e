"""A rules file that changes while the host runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator.domain.errors import RulesError
from orchestrator.rules import RulesFile, default_rules


def write(path: Path, name: str, *, age_seconds: float = 10.0) -> None:
    """Write a file with one rule, as if that was some time ago."""
    path.write_text(f'[[rule]]\nname = "{name}"\nmodel = "m"\nwhen.Rows = 1\n' if name else "[[rule]]\n")
    moment = time.time() - age_seconds
    os.utime(path, (moment, moment))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "rules.toml", "first", age_seconds=100)
    return tmp_path / "rules.toml"


def names(rules: RulesFile) -> list[str]:
    return [rule.name for rule in rules.current().rules]


def test_a_changed_file_is_picked_up(file: Path) -> None:
    rules = RulesFile(file)
    write(file, "second")
    assert names(rules) == ["second"]
    assert rules.fault is None


def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    rules = RulesFile(file)
    assert rules.current() is rules.current()


def test_a_faulty_file_is_refused_and_the_old_rules_stay_in_force(file: Path) -> None:
    rules = RulesFile(file)
    write(file, "")
    assert names(rules) == ["first"]
    assert rules.fault is not None
    assert "the rule has no name" in rules.fault


def test_a_repaired_file_takes_the_fault_away(file: Path) -> None:
    rules = RulesFile(file)
    write(file, "")
    rules.current()
    write(file, "third", age_seconds=5)
    assert names(rules) == ["third"]
    assert rules.fault is None


def test_a_file_that_went_away_leaves_its_rules_in_force(file: Path) -> None:
    rules = RulesFile(file)
    file.unlink()
    assert names(rules) == ["first"]
    assert rules.fault is not None
    assert "cannot be read" in rules.fault


def test_a_file_that_may_still_be_half_written_has_to_settle(file: Path) -> None:
    rules = RulesFile(file)
    write(file, "second", age_seconds=0)
    assert names(rules) == ["first"]
    os.utime(file, (time.time() - 2, time.time() - 2))
    assert names(rules) == ["second"]


def test_a_file_with_a_time_in_the_future_is_picked_up_too(file: Path) -> None:
    rules = RulesFile(file)
    write(file, "second", age_seconds=-3600)
    assert names(rules) == ["second"]


def test_a_replaced_file_of_the_same_size_and_time_is_noticed(file: Path, tmp_path: Path) -> None:
    rules = RulesFile(file)
    write(tmp_path / "new.toml", "other", age_seconds=100)
    os.utime(tmp_path / "new.toml", ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    (tmp_path / "new.toml").replace(file)
    assert names(rules) == ["other"]


def test_faulty_rules_stop_the_start(file: Path) -> None:
    write(file, "")
    with pytest.raises(RulesError):
        RulesFile(file)


def test_models_and_facts_of_plugins_count_for_every_new_version(file: Path) -> None:
    rules = RulesFile(file, models=["m"])
    file.write_text(file.read_text().replace('"m"', '"n"'))
    os.utime(file, (1, 1))
    assert names(rules) == ["first"]
    assert rules.fault is not None
    assert "no model is named 'n'" in rules.fault


def test_without_a_file_the_shipped_rules_are_in_force() -> None:
    rules = RulesFile(None)
    assert rules.current() == default_rules()
    assert rules.fault is None
