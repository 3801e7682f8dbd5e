from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.records import SERIES_MOVES, SeriesState
from orchestrator.ledger import Ledger
from tests.data.records import NOON, SERIES, add_jobs, instances, job_record, key_of, object_record, series_record


def test_a_series_comes_back_as_it_was_put(ledger: Ledger) -> None:
    record = series_record(released_at=NOON, explanation='{"rule": "ct"}', matched=True)
    assert ledger.series.put(record, instances())
    assert ledger.series.find(SERIES) == record


def test_the_same_revision_again_changes_nothing(ledger: Ledger) -> None:
    ledger.series.put(series_record(), instances(2))
    assert not ledger.series.put(series_record(digest="other"), instances(3))
    assert ledger.series.find(SERIES) == series_record()
    assert len(ledger.series.instances(SERIES, 1)) == 2


def test_instances_are_kept_with_their_digest_and_path(ledger: Ledger) -> None:
    given = instances(3)
    ledger.series.put(series_record(), given)
    kept = ledger.series.instances(SERIES, 1)
    assert [(row.sop_uid, row.sop_class, row.digest, row.path) for row in kept] == [
        (instance.sop_uid, instance.sop_class, instance.digest, instance.path) for instance in given
    ]


def test_the_newest_revision_is_the_series_unless_one_is_named(ledger: Ledger) -> None:
    for revision in (1, 2, 3):
        ledger.series.put(series_record(revision=revision), ())
    assert [getattr(ledger.series.find(SERIES, which), "revision", None) for which in (None, 2, 9)] == [3, 2, None]
    assert ledger.series.find("1.2.3") is None


def test_series_are_listed_newest_first_and_filtered(ledger: Ledger) -> None:
    for hour in range(4):
        state = SeriesState.RELEASED if hour % 2 else SeriesState.OPEN
        at = NOON + timedelta(hours=hour)
        ledger.series.put(
            series_record(series_uid=f"1.{hour}", study_uid=f"9.{hour // 2}", state=state, first_seen=at), ()
        )

    def listed(**wanted: object) -> list[str]:
        return [record.series_uid for record in ledger.series.newest(**wanted)]  # type: ignore[arg-type]

    assert listed() == ["1.3", "1.2", "1.1", "1.0"]
    assert listed(limit=1) == ["1.3"]
    assert listed(study_uid="9.0") == ["1.1", "1.0"]
    assert listed(since=NOON + timedelta(hours=2)) == ["1.3", "1.2"]
    assert listed(state=SeriesState.OPEN) == ["1.2", "1.0"]


def test_only_the_first_release_sets_the_time_of_release(ledger: Ledger) -> None:
    ledger.series.put(series_record(), ())
    released = ledger.series.move(SERIES, 1, SeriesState.RELEASED, complete_by="quiet period", at=NOON)
    again = ledger.series.move(SERIES, 1, SeriesState.RELEASED, at=NOON + timedelta(hours=1))
    assert released == again == ledger.series.find(SERIES)
    assert (again.released_at, again.complete_by) == (NOON, "quiet period")


@pytest.mark.parametrize("before", SeriesState)
def test_a_series_moves_only_along_its_law(ledger: Ledger, before: SeriesState) -> None:
    for revision, after in enumerate(SeriesState):
        ledger.series.put(series_record(revision=revision, state=before), ())
        if after in SERIES_MOVES[before]:
            assert ledger.series.move(SERIES, revision, after).state is after
        else:
            with pytest.raises(ForbiddenTransition, match=f"is {before} and cannot become {after}"):
                ledger.series.move(SERIES, revision, after)


def test_an_explanation_is_kept(ledger: Ledger) -> None:
    ledger.series.put(series_record(), ())
    ledger.series.explain(SERIES, 1, matched=True, explanation="{}")
    assert ledger.series.find(SERIES) == series_record(matched=True, explanation="{}")


def test_what_the_ledger_lacks_is_named(ledger: Ledger) -> None:
    with pytest.raises(UnknownRecord, match=r"no series 1\.2 revision 7"):
        ledger.series.move("1.2", 7, SeriesState.RELEASED)


def test_the_host_knows_its_own_objects_among_many(ledger: Ledger) -> None:
    add_jobs(ledger, job_record())
    mine = object_record()
    ledger.objects.put(key_of("job"), [mine])
    others = [f"1.2.{number}" for number in range(2500)]
    assert ledger.objects.known([*others, mine.sop_uid]) == {mine.sop_uid}
    assert ledger.objects.known([]) == frozenset()


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="needs a time zone"):
        ledger.series.put(series_record(first_seen=NOON.replace(tzinfo=None)), ())


def test_what_the_host_wrote_is_known_by_its_uids_replaced_ones_too(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("job"))
    first, second = object_record("first"), object_record("second")
    ledger.objects.put(key_of("job"), [first])
    ledger.objects.put(key_of("job"), [second], replace=True)
    assert set(ledger.objects.find([first.sop_uid, second.sop_uid, "1.2.3"])) == {first, second}
    assert ledger.objects.find([]) == ()


def test_a_study_with_objects_of_a_job_has_a_result(ledger: Ledger) -> None:
    add_jobs(ledger, job_record("job", study_uid="1.2"), job_record("other", study_uid="1.3"))
    ledger.objects.put(key_of("job"), [object_record("seg", study_uid="1.2")])
    assert ledger.objects.known_in_studies(["1.2", "1.3", "1.4"]) == {"1.2"}
