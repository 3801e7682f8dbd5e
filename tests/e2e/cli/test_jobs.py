"""``jobs`` and ``results`` as people type them, right and wrong."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.ledger import Ledger
from tests.data.records import add_jobs, job_record, key_of
from tests.e2e.cli.conftest import Command, Site
from tests.parts.archive.dcmtk import free_port

# --- jobs --------------------------------------------------------------------------------------------------


def test_jobs_in_a_folder_without_a_ledger_is_no_empty_list(command: Command, nowhere: Path) -> None:
    ended = command("jobs", "list")
    assert ended.status == 2
    assert "no ledger at" in ended.err
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("arguments", [["jobs", "list"], ["jobs", "retry", "abcdef"], ["doctor"]], ids=" ".join)
def test_a_database_that_is_away_or_none_is_told_in_one_sentence(
    command: Command, nowhere: Path, arguments: list[str]
) -> None:
    (nowhere / "noise.db").write_bytes(bytes(range(256)) * 8)
    for url, said in (
        (f"postgresql://nobody@127.0.0.1:{free_port()}/ledger", "Connection refused"),
        ("sqlite:///noise.db", "file is not a database"),
    ):
        (nowhere / "orchestrator.toml").write_text(f'[receiver]\nport = {free_port()}\n[data]\ndatabase = "{url}"\n')
        ended = command(*arguments)
        assert ended.status == 1
        assert "the database cannot be used: " in ended.out + ended.err
        assert said in ended.out + ended.err


def test_the_list_says_why_a_delivery_waits(command: Command, nowhere: Path) -> None:
    url = f"sqlite:///{nowhere / 'ledger.db'}"
    (nowhere / "orchestrator.toml").write_text(f'[data]\ndatabase = "{url}"\n')
    with closing(Ledger.open(url)) as ledger:
        add_jobs(ledger, job_record("one"))
        for state in (JobState.RUNNING, JobState.DELIVERING):
            ledger.jobs.move(key_of("one"), state)
        ledger.deliveries.add(key_of("one"), "pacs")
        ledger.deliveries.move(key_of("one"), "pacs", DeliveryState.WAITING, error="pacs lacks 3 of 4 source images")
    assert "pacs lacks 3 of 4 source images" in command("jobs", "list").out


def test_jobs_list_and_show_a_job_by_the_first_digits_of_its_key(command: Command, finished: Site) -> None:
    (job,) = command("jobs", "list", "--json", "--state", "done", *finished.settings).json
    shown = command("jobs", "show", job["key"][:6], "--json", *finished.settings).json
    assert shown["job"] == job
    assert {row["state"] for row in shown["deliveries"]} == {"confirmed"}
    assert [event["kind"] for event in shown["events"]][-1] == "job.done"


def test_jobs_tables_show_keys_that_can_be_copied(command: Command, finished: Site) -> None:
    assert f" {finished.key[:12]} " in command("jobs", "list", *finished.settings).out


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_jobs_names_an_unknown_key(command: Command, finished: Site, verb: str) -> None:
    ended = command("jobs", verb, "abcdef", *finished.settings)
    assert ended.status == 2
    assert "no job abcdef in the ledger" in ended.err


def test_jobs_list_names_an_unknown_state(command: Command, finished: Site) -> None:
    ended = command("jobs", "list", "--state", "faild", *finished.settings)
    assert ended.status == 2
    assert "'faild' is not one of 'waiting'" in ended.err


def test_a_job_that_is_done_is_neither_retried_nor_cancelled(command: Command, finished: Site) -> None:
    retried = command("jobs", "retry", finished.key, *finished.settings)
    cancelled = command("jobs", "cancel", finished.key, *finished.settings)
    assert (retried.status, cancelled.status) == (2, 2)
    assert "is done; what can be tried again is failed, parked, held, unsupported or not-applicable" in retried.err
    assert "this result was delivered; reject it: orchestrator results reject" in cancelled.err


# --- results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["--by", "--organization", "--reason"])
def test_a_verdict_needs_who_and_why(command: Command, finished: Site, missing: str) -> None:
    told = {"--by": "Dr Curie", "--organization": "Radium", "--reason": "wrong"}
    options = [part for name, value in told.items() if name != missing for part in (name, value)]
    ended = command("results", "reject", finished.key, *options, *finished.settings)
    assert ended.status == 2
    assert f"Missing option '{missing}'" in ended.err


def test_a_verdict_needs_a_name_that_is_not_blank(command: Command, finished: Site) -> None:
    ended = command("results", "accept", finished.key, "--by", " ", "--organization", "Radium", *finished.settings)
    assert (ended.status, ended.err.strip()) == (2, "error: a verdict needs the reviewer's name and organisation")


def test_a_verdict_on_an_unknown_result_is_refused(command: Command, finished: Site) -> None:
    ended = command("results", "accept", "abcdef", "--by", "Dr Curie", "--organization", "R", *finished.settings)
    assert ended.status == 2
    assert "no job abcdef in the ledger" in ended.err


def test_verdicts_are_kept_and_a_second_reviewer_is_told_of_the_first(command: Command, site: Site) -> None:
    curie = ["--by", "Dr Curie", "--organization", "Radium"]
    bell = ["--by", "Dr Bell", "--organization", "Pulsar"]
    assert command("results", "list", "--state", "pending", "--json", *site.settings).json[0]["job"]["key"] == site.key
    accepted = command("results", "accept", site.key, *curie, "--comment", "well outlined", *site.settings)
    again = command("results", "accept", site.key, *bell, *site.settings)
    rejected = command("results", "reject", site.key, *bell, "--reason", "wrong-side", *site.settings)
    assert (accepted.status, accepted.out.strip()) == (0, f"result {site.key[:12]} is accepted")
    assert again.status == 2
    assert "Dr Curie already accepted this result at" in again.err
    assert f"result {site.key[:12]} is rejected (wrong-side); Dr Curie (Radium) had accepted it at" in rejected.out
    reviews = command("results", "show", site.key, "--json", *site.settings).json["reviews"]
    assert [(review["state"], review["by"]) for review in reviews] == [
        *(("pending", ""), ("accepted", "Dr Curie"), ("rejected", "Dr Bell")),
    ]
