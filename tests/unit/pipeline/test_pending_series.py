"""Whatever order images come in, and however often, each is in its series once: read, or left out by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.archive import Arrival
from orchestrator.dicom import gather
from orchestrator.domain.images import LeftOut
from orchestrator.domain.series import Instance
from orchestrator.pipeline.arrival.pending_series import PendingSeries
from tests.data.instances import image

CONTENTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 2), st.sampled_from(["a", "b"]), st.booleans()), min_size=1, max_size=12
)
"""Number of the image that the SOP Instance UID names, its place, its pixels, and whether the file can be read."""


def content(uid: int, place: int, pixels: str, is_readable: bool) -> Instance:
    name = f"{uid}-{place}-{pixels}"
    made = image(uid, 10.0 * uid + place)
    left_out = None if is_readable else LeftOut.UNREADABLE
    path = Path(f"/spool/{name}-{is_readable}.dcm")
    return replace(made, digest=f"{name}-{is_readable}", path=path, left_out=left_out)


def pending(contents: list[Instance]) -> PendingSeries:
    series = PendingSeries("1.2.2", Arrival(path=contents[0].path))
    for each in contents:
        series.add(each, Arrival(path=each.path), now=0.0, quiet_seconds=1.0)
    return series


@given(CONTENTS)
def test_every_uid_that_came_is_read_or_left_out_exactly_once(made: list[tuple[int, int, str, bool]]) -> None:
    contents = [content(*each) for each in made]
    count = gather(tuple(pending(contents).instances.values())).count
    assert count.received == len({each.sop_uid for each in contents}) == count.read + len(count.left_out)


@given(CONTENTS, st.randoms(use_true_random=False))
def test_different_images_under_one_uid_are_never_read_in_any_order(
    made: list[tuple[int, int, str, bool]], random: object
) -> None:
    contents = [content(uid, place, pixels, is_readable=True) for uid, place, pixels, _ in made]
    random.shuffle(contents)  # type: ignore[attr-defined]
    series = pending(contents)
    for uid, instance in series.instances.items():
        places = {each.plane for each in contents if each.sop_uid == uid}
        assert (instance.left_out is LeftOut.SHARED_UID) == (len(places) > 1)


@given(CONTENTS)
def test_a_content_that_comes_again_changes_nothing(made: list[tuple[int, int, str, bool]]) -> None:
    contents = [content(*each) for each in made]
    series = pending(contents)
    before = dict(series.instances)
    for each in before.values():
        series.add(each, Arrival(path=each.path), now=1.0, quiet_seconds=1.0)
    assert series.instances == before


def test_an_older_content_is_compared_and_never_counts() -> None:
    newest, older = content(1, 0, "b", True), content(1, 0, "a", True)
    series = pending([newest])
    assert not series.compare(older)
    assert series.instances == {newest.sop_uid: newest}
    series.compare(content(1, 2, "a", True))
    assert series.instances[newest.sop_uid].left_out is LeftOut.SHARED_UID
