"""What nobody notified of is found in the spool, without being in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator.app.service.engine.spool_scan import SCAN_SECONDS, SpoolScan
from orchestrator.archive import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def put(spool: Spool, series_uid: str) -> Path:
    path = spool.folder / "1.2" / series_uid / "1.2.3-0123456789ab.dcm"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_the_first_scan_finds_everything(spool: Spool) -> None:
    old = put(spool, "1.3")
    os.utime(old.parent, (0, 0))
    spool_scan = SpoolScan(spool)
    spool_scan.scan()
    assert [file.path for file in spool_scan.files()] == [old]


def test_what_was_told_is_not_told_again(spool: Spool) -> None:
    put(spool, "1.3")
    spool_scan = SpoolScan(spool)
    spool_scan.scan()
    spool_scan.files()
    assert spool_scan.files() == []


def test_a_later_scan_passes_over_what_took_no_file_since(spool: Spool) -> None:
    spool_scan = SpoolScan(spool)
    spool_scan.scan()
    spool_scan.files()
    old, new = put(spool, "1.3"), put(spool, "1.4")
    os.utime(old.parent, (time.time() - 2 * SCAN_SECONDS,) * 2)
    spool_scan.scan()
    assert [file.path for file in spool_scan.files()] == [new]
