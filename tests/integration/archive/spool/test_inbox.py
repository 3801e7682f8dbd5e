"""What was fetched lies in the spool like what was pushed, and its end is told."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from orchestrator.archive import Announced, Arrival, Closed, Notification, Spool, SpoolInbox
from orchestrator.domain.errors import UnreadableFile
from tests.data.objects import instance

CT = "1.2.840.10008.5.1.4.1.1.2"
DATASET = instance(study="1.2", series="1.3", sop_uid="1.4")


def part10() -> bytes:
    file = BytesIO()
    DATASET.save_as(file, enforce_file_format=True)
    return file.getvalue()


def inbox(folder: Path, told: list[Notification], series_uid: str = "1.3") -> SpoolInbox:
    return SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=series_uid, notify=told.append)


@given(cuts=st.lists(st.integers(0, len(part10())), max_size=8))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_in_pieces_of_any_size_is_kept_as_it_is(tmp_path: Path, cuts: list[int]) -> None:
    whole, ends = part10(), sorted(cuts)
    pieces = [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    assert box.file(pieces) == "1.4"
    box.settle()
    (arrival,) = told
    assert isinstance(arrival, Arrival)
    assert dcmread(arrival.path) == DATASET


def test_a_bare_data_set_is_kept_with_a_header(tmp_path: Path) -> None:
    told: list[Notification] = []
    content = encode(DATASET, is_implicit_vr=False, is_little_endian=True)
    assert content
    box = inbox(tmp_path, told)
    box.dataset(CT, "1.4", ExplicitVRLittleEndian, [content])
    box.settle()
    assert isinstance(told[0], Arrival)
    assert dcmread(told[0].path) == DATASET


def test_the_archive_it_came_from_is_known_after_a_restart(tmp_path: Path) -> None:
    box = inbox(tmp_path, [])
    box.file([part10()])
    box.settle()
    spool = Spool(tmp_path / "spool")
    (file,) = spool.scan()
    assert spool.arrival(file).source == "vna"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "ends within"),
        (b"<html>" * 100, "no file meta information"),
        (part10()[:200], "ends within"),
        (part10()[:140] + b"\xff\xff\xff\x7f" + part10()[144:], "is too long"),
        (part10()[:144] + bytes(200), "not a DICOM file"),
    ],
    ids=["nothing", "a page", "half a header", "a header without an end", "zeros"],
)
def test_what_is_no_dicom_file_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(UnreadableFile, match=fault):
        inbox(tmp_path, []).file([content])
    assert not [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]


def test_an_image_of_another_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"of series '1\.3', not 9\.9|of series 1\.3, not 9\.9"):
        inbox(tmp_path, [], series_uid="9.9").file([part10()])
    assert not list((tmp_path / "spool").rglob("*.dcm"))


def test_nothing_is_told_or_in_its_place_before_it_is_durable(tmp_path: Path) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    box.file([part10()])
    assert not told
    assert not list(Spool(tmp_path / "spool").scan())
    box.settle()
    assert [type(note) for note in told] == [Arrival]


def test_what_came_before_a_fetch_broke_off_stays(tmp_path: Path) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    box.file([part10()])
    box.close(whole=False)
    assert [file.sop_uid for file in Spool(tmp_path / "spool").scan()] == ["1.4"]


def test_the_same_image_twice_in_one_fetch_is_one_file(tmp_path: Path) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    for _ in range(2):
        box.file([part10()])
    box.settle()
    assert [note.duplicate for note in told if isinstance(note, Arrival)] == [False, True]
    assert not list((tmp_path / "spool/incoming").iterdir())


def test_a_long_fetch_is_settled_on_its_way(tmp_path: Path) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    for _ in range(100):
        box.file([part10()])
    assert 0 < len(told) < 100
    box.settle()
    assert len(told) == 100


@pytest.mark.parametrize(
    ("whole", "complete", "kinds"),
    [
        (True, "vna says so", [Arrival, Closed, Announced]),
        (True, "", [Arrival, Closed]),
        (False, "vna says so", [Arrival, Closed]),
    ],
)
def test_the_end_of_a_fetch_is_told(tmp_path: Path, whole: bool, complete: str, kinds: list[type]) -> None:
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    box.file([part10()])
    box.close(whole=whole, complete=complete)
    assert [type(note) for note in told] == kinds
    assert isinstance(told[1], Closed)
    assert told[1].released is whole


def test_a_pushed_file_that_is_fetched_too_is_known_as_the_archive_s_after_a_restart(tmp_path: Path) -> None:
    """Its header says how it came first; a verdict in it counts if the settings trust the archive."""
    pushed = SpoolInbox(Spool(tmp_path / "spool"), source="", series_uid="1.3", notify=lambda _: None)
    pushed.file([part10()])
    pushed.settle()
    told: list[Notification] = []
    box = inbox(tmp_path, told)
    box.file([part10()])
    box.settle()
    (arrival,) = told
    assert isinstance(arrival, Arrival)
    assert (arrival.duplicate, arrival.source) == (True, "vna")
    spool = Spool(tmp_path / "spool")
    (file,) = spool.scan()
    assert spool.arrival(file).source == "vna"
