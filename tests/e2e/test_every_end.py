"""Every end of a job is reached through the whole path by a test; a state that nothing reaches would be a lie."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from orchestrator.domain.job import ENDED, JobState

REACHED = {
    JobState.DONE: "service/test_service.py::test_a_pushed_series_comes_back_as_seg_and_sr_in_the_archive",
    JobState.SUPERSEDED: "service/test_service.py::"
    "test_a_late_image_makes_a_new_revision_and_supersedes_the_older_result",
    JobState.NOT_APPLICABLE: "batch/test_bad_models.py::test_each_model_ends_in_its_named_state_and_says_why",
    JobState.UNSUPPORTED: "batch/test_bad_input.py::test_what_no_model_can_be_given_is_unsupported_and_says_why",
    JobState.FAILED: "service/test_archives.py::"
    "test_a_cancelled_job_leaves_the_worklist_and_is_delivered_once_when_retried",
    JobState.PARKED: "service/test_archives.py::"
    "test_a_refused_result_is_parked_holds_up_no_other_destination_and_goes_by_retry",
    JobState.HELD: "service/test_folder_archive.py::test_a_held_series_runs_when_a_person_releases_it",
}


@pytest.mark.parametrize("state", sorted(ENDED))
def test_every_end_state_is_reached_by_a_test_of_the_whole_path(state: JobState) -> None:
    file, _, name = REACHED[state].partition("::")
    text = (Path(__file__).parent / file).read_text()
    functions = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert name in functions
    assert f"JobState.{state.name}" in text or f'"{state.value}"' in text or "job_ends()" in text


def test_only_what_has_ended_is_an_end() -> None:
    assert set(REACHED) == ENDED
    assert set(JobState) - ENDED == {JobState.WAITING, JobState.RUNNING, JobState.DELIVERING}
