"""The folder in which the question and the answer of a storage commitment meet."""

import os
import time
from pathlib import Path

from orchestrator.archive.commitment.transactions import DUPLICATE_TRANSACTION, CommitmentResult, Commitments

KEPT = CommitmentResult("2.25.7", frozenset({"1.4.0"}), {"1.4.1": 0x0112})


def test_another_process_finds_the_answer(tmp_path: Path) -> None:
    Commitments(tmp_path / "data" / "commitments").expect("2.25.7")
    assert Commitments(tmp_path / "data" / "commitments").record(KEPT)
    assert Commitments(tmp_path / "data" / "commitments").result("2.25.7") == KEPT


def test_an_answer_that_nobody_asked_for_is_not_kept(tmp_path: Path) -> None:
    assert not Commitments(tmp_path).record(KEPT)
    assert list(tmp_path.iterdir()) == []


def test_asking_again_keeps_an_answer_that_has_come(tmp_path: Path) -> None:
    commitments = Commitments(tmp_path / "commitments")
    commitments.expect("2.25.7")
    commitments.record(KEPT)
    commitments.expect("2.25.7")
    assert commitments.result("2.25.7") == KEPT


def test_a_request_that_came_twice_is_no_answer(tmp_path: Path) -> None:
    commitments = Commitments(tmp_path / "commitments")
    commitments.expect("2.25.7")
    assert commitments.record(CommitmentResult("2.25.7", frozenset(), {"1.4.0": DUPLICATE_TRANSACTION}))
    assert commitments.result("2.25.7") is None


def test_what_is_forgotten_was_never_asked(tmp_path: Path) -> None:
    commitments = Commitments(tmp_path / "commitments")
    commitments.expect("2.25.7")
    commitments.record(KEPT)
    commitments.forget("2.25.7")
    assert commitments.result("2.25.7") is None
    assert commitments.request_age("2.25.7") is None


def test_old_questions_do_not_pile_up(tmp_path: Path) -> None:
    commitments = Commitments(tmp_path / "commitments")
    commitments.expect("2.25.7")
    (asked,) = (tmp_path / "commitments").iterdir()
    os.utime(asked, (0, time.time() - 40 * 86400))
    commitments.expect("2.25.8")
    assert commitments.request_age("2.25.7") is None
