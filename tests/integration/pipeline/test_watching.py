"""A watched archive: what changed is fetched once it has settled, whatever fails or is killed in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.archive import Announced, Arrival, Closed, Notification, Spool, SpoolInbox
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, StorageFull
from orchestrator.domain.fetching import WATCHING, FetchRecord, FetchState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching.fetch import Fetching
from orchestrator.pipeline.fetching.watch import Watch
from orchestrator.rules import parse_rules
from tests.data.objects import write_instance
from tests.data.records import add_jobs, job_record, key_of, object_record
from tests.parts.archive.scripted_archive import ScriptedArchive

RULES = parse_rules('[[rule]]\nname = "ct"\nmodel = "m"\n\n[rule.when]\nModality = "CT"\nSource = "pacs"\n')
LOOK_SECONDS = 10.0


class Post:
    """A watch with a clock that is set by hand; ``turn`` takes one look and all that is then to be fetched."""

    def __init__(self, folder: Path, ledger: Ledger, archive: ScriptedArchive) -> None:
        self.folder = folder
        self.ledger = ledger
        self.archive = archive
        self.spool = Spool(folder / "spool")
        self.told: list[Notification] = []
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
        self.verdicts = False
        self.restart()

    def restart(self) -> None:
        """Go on as a new process does after a kill -9: only the ledger is known."""
        fetching = Fetching(self.archive, self.ledger, self._inbox, clock=self._clock)
        self.watch = Watch(
            self.archive,
            self.ledger,
            lambda: RULES,
            fetching,
            look_seconds=LOOK_SECONDS,
            verdicts=self.verdicts,
            clock=self._clock,
        )

    def turn(self, seconds: float = LOOK_SECONDS) -> None:
        self.now += timedelta(seconds=seconds)
        while self.watch.look():
            pass
        while self.watch.fetch_next():
            pass

    def files(self, series_uid: str, count: int, study_uid: str = "1.2") -> list[Path]:
        return [
            write_instance(
                self.folder / f"{series_uid}/{number}.dcm",
                study=study_uid,
                series=series_uid,
                sop_uid=f"{series_uid}.{number}",
            )
            for number in range(count)
        ]

    def spooled(self, series_uid: str) -> int:
        return len(self.spool.series_files("1.2", series_uid))

    def record(self, series_uid: str) -> FetchRecord:
        return self.ledger.fetches.find("pacs", [series_uid])[series_uid]

    def kinds(self, subject: str) -> list[str]:
        return [event.kind for event in self.ledger.events.after(subject=subject)]

    def _inbox(self, series_uid: str) -> SpoolInbox:
        return SpoolInbox(self.spool, source="pacs", series_uid=series_uid, notify=self.told.append)

    def _clock(self) -> datetime:
        return self.now


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(tmp_path, ledger, ScriptedArchive())


def test_a_series_is_fetched_when_the_next_look_sees_nothing_more_of_it(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT")
    post.turn()
    assert post.archive.fetched == []
    post.turn()
    assert post.spooled("1.2.1") == 3
    assert [type(note) for note in post.told] == [Arrival, Arrival, Arrival, Closed]


def test_a_series_that_grows_between_the_looks_is_waited_for(post: Post) -> None:
    for count in (1, 2, 3):
        post.archive.tell("1.2.1", post.files("1.2.1", count), Modality="CT")
        post.turn()
    assert post.archive.fetched == []
    post.turn()
    assert post.archive.fetched == ["1.2.1"]


def test_what_the_archive_calls_complete_is_fetched_at_once_and_proves_it(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT", complete="the archive says so")
    post.turn()
    assert post.told[-1] == Announced(series_uid="1.2.1", count=3, reason="the archive says so")


def test_what_has_come_already_is_not_fetched_again_when_the_archive_calls_it_complete(post: Post) -> None:
    files = post.files("1.2.1", 3)
    post.archive.tell("1.2.1", files, Modality="CT")
    post.turn()
    post.turn()
    post.archive.tell("1.2.1", files, Modality="CT", complete="the archive says so")
    post.turn()
    post.turn()
    assert post.archive.fetched == ["1.2.1"]
    assert post.told[-1] == Announced(series_uid="1.2.1", count=3, reason="the archive says so")


def test_a_series_that_grows_afterwards_is_fetched_again_with_twice_the_patience(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 2), Modality="CT")
    post.turn()
    post.turn()
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT")
    post.turn()
    post.turn()
    assert post.spooled("1.2.1") == 2
    post.turn()
    assert post.spooled("1.2.1") == 3


@pytest.mark.parametrize("modality", ["MR", "SEG", "SR", "KO", "PR"])
def test_what_no_rule_could_want_is_put_down_and_never_fetched(post: Post, modality: str) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality=modality, complete="the archive says so")
    post.turn()
    post.turn()
    assert post.archive.fetched == []
    assert post.record("1.2.1").state is FetchState.UNWANTED


def test_what_the_host_wrote_itself_is_never_fetched(post: Post) -> None:
    add_jobs(post.ledger, job_record())
    post.ledger.objects.put(key_of("job"), [object_record(series_uid="1.2.9")])
    post.archive.tell("1.2.9", post.files("1.2.9", 1), Modality="CT", complete="the archive says so")
    post.turn()
    assert post.archive.fetched == []


def test_a_series_of_which_the_archive_answers_little_is_fetched(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 1), complete="the archive says so")
    post.turn()
    assert post.archive.fetched == ["1.2.1"]


def test_a_killed_process_misses_nothing_and_fetches_nothing_twice(post: Post) -> None:
    post.archive.page_size = 1
    for uid in ("1.2.1", "1.2.2", "1.2.3"):
        post.archive.tell(uid, post.files(uid, 2), Modality="CT")
    post.watch.look()
    post.restart()
    post.turn()
    post.restart()
    post.turn()
    post.restart()
    post.turn()
    assert sorted(post.archive.fetched) == ["1.2.1", "1.2.2", "1.2.3"]


def test_a_fetch_that_was_killed_in_the_middle_is_repeated_whole(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT")
    post.archive.broken["1.2.1"] = KeyboardInterrupt()  # type: ignore[assignment]  # ends the process as a signal does
    post.turn()
    with pytest.raises(KeyboardInterrupt):
        post.turn()
    assert post.record("1.2.1").state is FetchState.FETCHING
    assert post.ledger.fetches.pending(["1.2.1"])
    post.archive.broken.clear()
    post.restart()
    post.ledger.fetches.resume()
    post.turn()
    assert post.spooled("1.2.1") == 3
    assert not post.ledger.fetches.pending(["1.2.1"])


def test_an_archive_that_goes_away_in_the_middle_of_a_series_loses_nothing(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT")
    post.archive.broken["1.2.1"] = ArchiveUnavailable("the connection was lost")
    post.turn()
    with pytest.raises(ArchiveUnavailable):
        post.turn()
    assert post.told[-1] == Closed(association=_association(post), released=False, calling="", called="")
    assert post.ledger.fetches.pending(["1.2.1"])
    post.archive.broken.clear()
    post.turn()
    assert (post.spooled("1.2.1"), post.record("1.2.1").state) == (3, FetchState.FETCHED)


def _association(post: Post) -> str:
    return next(note.association for note in post.told if isinstance(note, Arrival))


@pytest.mark.parametrize("fault", [ArchiveUnavailable("it does not answer"), StorageFull("the disk is full")])
def test_what_stops_all_is_one_event_when_it_begins_and_one_when_it_is_over(post: Post, fault: Exception) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 2), Modality="CT")
    post.turn()
    post.archive.broken["1.2.1"] = fault
    for _ in range(3):
        post.now += timedelta(minutes=1)
        with pytest.raises(type(fault)):
            _turns(post)
        post.watch.record_failure(str(fault))
    post.archive.broken.clear()
    post.now += timedelta(hours=1)
    _turns(post)
    assert post.kinds("pacs") == ["watch-waits", "watch-goes-on"]


def _turns(post: Post) -> None:
    """Take turns as the thread does, a look first."""
    post.watch.look()
    while post.watch.turn() == 0.0:
        pass


def test_one_series_that_is_refused_holds_up_no_other_and_is_tried_again_later(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 2), Modality="CT")
    post.archive.tell("1.2.2", post.files("1.2.2", 2), Modality="CT")
    post.archive.broken["1.2.1"] = ArchiveRefused("two patients have it")
    for _ in range(4):
        post.turn()
    assert post.spooled("1.2.2") == 2
    assert post.record("1.2.1").error == "two patients have it"
    assert post.kinds("1.2.1") == ["fetch-refused"]
    post.archive.broken.clear()
    post.turn(3600)
    assert post.spooled("1.2.1") == 2


def test_an_archive_that_fails_for_one_series_only_refuses_that_series(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 2), Modality="CT")
    post.archive.broken["1.2.1"] = ArchiveUnavailable("500 Internal Server Error")
    post.turn()
    for _ in range(3):
        with pytest.raises(ArchiveUnavailable):
            post.turn(3600)
    post.turn(3600)
    assert post.kinds("1.2.1") == ["fetch-refused"]


def test_fewer_images_than_the_archive_counts_start_nothing_early_and_are_told(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT", complete="the archive says so")
    post.archive.held["1.2.1"] = post.archive.held["1.2.1"][:2]
    post.turn()
    closed = post.told[-1]
    assert isinstance(closed, Closed)
    assert not closed.released
    assert post.kinds("1.2.1") == ["fetch-short"]


def test_images_that_a_move_sent_to_the_receiver_are_told_as_fetched(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 3), Modality="CT", complete="the archive says so")
    pushed = SpoolInbox(post.spool, source="", series_uid="1.2.1", notify=lambda _: None)
    for path in post.files("1.2.1", 3):
        pushed.file([path.read_bytes()])
    pushed.settle()
    post.archive.moves = True
    post.turn()
    assert [note.source for note in post.told if isinstance(note, Arrival)] == ["pacs"] * 3
    assert post.told[-1] == Announced(series_uid="1.2.1", count=3, reason="the archive says so")


def test_live_series_of_a_look_are_counted_by_what_became_of_them(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality="CT")
    post.archive.tell("1.2.2", post.files("1.2.2", 1), Modality="SR")
    post.turn()
    counts = post.ledger.fetches.count("pacs", WATCHING)
    assert (counts[FetchState.WAITING], counts[FetchState.UNWANTED]) == (1, 1)


def judging(post: Post) -> None:
    """Let the watch look for verdicts, and have a result in the study 1.2 whose SEG lies in the series 1.2.9."""
    post.verdicts = True
    post.restart()
    add_jobs(post.ledger, job_record("job", study_uid="1.2"))
    post.ledger.objects.put(key_of("job"), [object_record("seg", series_uid="1.2.9", study_uid="1.2")])


@pytest.mark.parametrize("modality", ["SR", "SEG", "KO"])
def test_what_may_judge_a_result_is_fetched_where_verdicts_are_looked_for(post: Post, modality: str) -> None:
    judging(post)
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality=modality)
    post.turn()
    post.turn()
    assert post.archive.fetched == ["1.2.1"]


@pytest.mark.parametrize(("study", "modality"), [("1.3", "SR"), ("1.2", "PR")])
def test_what_cannot_judge_a_result_is_not_fetched(post: Post, study: str, modality: str) -> None:
    judging(post)
    post.archive.tell("1.2.1", post.files("1.2.1", 1, study), study_uid=study, Modality=modality)
    post.turn()
    post.turn()
    assert post.archive.fetched == []


@pytest.mark.parametrize(("count", "fetched"), [(1, []), (2, ["1.2.9"])])
def test_a_series_of_ours_is_fetched_when_somebody_put_something_into_it(
    post: Post, count: int, fetched: list[str]
) -> None:
    judging(post)
    post.archive.tell("1.2.9", post.files("1.2.9", count), Modality="SEG")
    post.turn()
    post.turn()
    assert post.archive.fetched == fetched


def test_a_series_that_is_not_fetched_has_its_reason(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality="MR")
    post.turn()
    assert (post.record("1.2.1").state, post.record("1.2.1").error) == (
        FetchState.UNWANTED,
        "ct: Modality is MR, expected CT",
    )


def test_a_series_that_a_changed_rule_wants_has_no_reason_left(post: Post) -> None:
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality="MR")
    post.turn()
    post.archive.tell("1.2.1", post.files("1.2.1", 1), Modality="CT")
    post.turn()
    assert (post.record("1.2.1").state, post.record("1.2.1").error) == (FetchState.WAITING, "")
