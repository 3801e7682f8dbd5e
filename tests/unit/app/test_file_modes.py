"""Doctor says where other accounts of the machine can read patients' data."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.doctor.check import Health
from orchestrator.app.doctor.installation import check_modes
from orchestrator.config import DataSettings, Settings


@pytest.mark.parametrize(
    ("mode", "health"), [(0o700, Health.GOOD), (0o750, Health.GOOD), (0o755, Health.BAD), (0o701, Health.BAD)], ids=str
)
def test_a_data_folder_that_others_can_open_is_a_fault(tmp_path: Path, mode: int, health: Health) -> None:
    (tmp_path / "data").mkdir(mode=mode)
    (tmp_path / "data").chmod(mode)
    (check,) = check_modes(Settings(data=DataSettings(folder=tmp_path / "data")))
    assert check.health is health
    assert (check.advice == f"close it: chmod -R o-rwx {tmp_path / 'data'}") is (health is Health.BAD)


def test_a_ledger_elsewhere_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "ledger.db").touch()
    (tmp_path / "ledger.db").chmod(0o644)
    options = DataSettings(folder=tmp_path / "data", database=f"sqlite:///{tmp_path / 'ledger.db'}")
    folder, ledger = check_modes(Settings(data=options))
    assert (folder.health, ledger.health) == (Health.GOOD, Health.BAD)


def test_what_is_not_there_yet_has_no_mode(tmp_path: Path) -> None:
    assert list(check_modes(Settings(data=DataSettings(folder=tmp_path / "data")))) == []
