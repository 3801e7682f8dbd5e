import hashlib
import os
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from orchestrator.archive import Arrival, Spool
from orchestrator.archive.spool.spool import Incoming, Mismatch, Origin
from orchestrator.domain.errors import StorageFull, UnreadableFile
from tests.data.objects import instance

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def encoded(dataset: Dataset) -> bytes:
    answer = encode(dataset, False, True)
    assert answer is not None
    return answer


def incoming_of(spool: Spool, dataset: Dataset, *, sop_uid: str = "", portion: int = 50) -> Incoming:
    origin = Origin(CT, sop_uid or dataset.SOPInstanceUID, ExplicitVRLittleEndian, "CT1", "ORCHESTRATOR", "a1")
    incoming, content = spool.receive(origin), memoryview(encoded(dataset))
    for start in range(0, len(content), portion):
        incoming.write(content[start : start + portion])
    return incoming


def receive(spool: Spool, dataset: Dataset, **how: Any) -> Arrival:
    return incoming_of(spool, dataset, **how).file()


def test_an_instance_is_filed_under_its_uids_and_its_content(spool: Spool) -> None:
    dataset = instance(study="1.2", series="1.3", sop_uid="1.4")
    arrival = receive(spool, dataset)
    digest = hashlib.sha256(encoded(dataset)).hexdigest()[:12]
    assert arrival.path == spool.folder / "1.2" / "1.3" / f"1.4-{digest}.dcm"
    assert dcmread(arrival.path) == dataset


@pytest.mark.parametrize("length", [2, 16_000, 16_200, 16_384, 16_500, 100_000])
def test_the_uids_are_found_however_much_stands_before_them(spool: Spool, length: int) -> None:
    dataset = instance(study="1.2", series="1.3", sop_uid="1.4")
    dataset.private_block(0x0019, "A VENDOR", create=True).add_new(1, "OB", bytes(length))
    arrival = receive(spool, dataset, portion=4_096)
    assert (arrival.study_uid, arrival.series_uid, arrival.sop_uid) == ("1.2", "1.3", "1.4")
    assert dcmread(arrival.path) == dataset


def test_a_deflated_instance_is_filed_too(spool: Spool) -> None:
    dataset = instance(study="1.2", series="1.3", sop_uid="1.4", pixels=os.urandom(50_000))
    content = encode(dataset, False, True, True)
    assert content
    incoming = spool.receive(Origin(CT, "1.4", DeflatedExplicitVRLittleEndian, "CT1", "ORCHESTRATOR"))
    incoming.write(memoryview(content))
    assert incoming.file().series_uid == "1.3"


def test_an_arrival_tells_who_sent_what(spool: Spool) -> None:
    arrival = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4"))
    assert (arrival.study_uid, arrival.series_uid, arrival.sop_uid, arrival.sop_class) == ("1.2", "1.3", "1.4", CT)
    assert (arrival.calling, arrival.called, arrival.association) == ("CT1", "ORCHESTRATOR", "a1")
    assert (arrival.duplicate, arrival.conflict) == (False, False)


def test_a_resend_finds_its_file_there(spool: Spool) -> None:
    dataset = instance()
    first, second = receive(spool, dataset), receive(spool, dataset)
    assert second.path == first.path
    assert (second.duplicate, second.conflict) == (True, False)
    assert len(list(first.path.parent.iterdir())) == 1


def test_other_content_under_the_same_uid_is_a_second_file_and_a_conflict(spool: Spool) -> None:
    first = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4"))
    second = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4", patient_id="P2"))
    assert (second.duplicate, second.conflict) == (False, True)
    assert first.path.exists()
    assert [file.path for file in spool.series_files("1.2", "1.3")] == [second.path]


def test_what_is_sent_last_counts_even_when_it_was_there_before(spool: Spool) -> None:
    one = instance(study="1.2", series="1.3", sop_uid="1.4")
    other = instance(study="1.2", series="1.3", sop_uid="1.4", patient_id="P2")
    receive(spool, one)
    receive(spool, other)
    again = receive(spool, one)
    assert (again.duplicate, again.conflict) == (True, True)
    assert [file.path for file in spool.scan()] == [again.path]


CONTENTS = st.tuples(st.sampled_from(["1.4", "1.5"]), st.sampled_from(["P1", "P2", "P3"]))


@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.lists(CONTENTS, min_size=1, max_size=5), min_size=1, max_size=3))
def test_what_comes_in_batches_ends_as_what_comes_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("spools")
    at_once, one_by_one = Spool(folder / "at once"), Spool(folder / "one by one")
    told = dict[str, list[bool]](), dict[str, list[bool]]()
    for batch in batches:
        datasets = [instance(study="1.2", series="1.3", sop_uid=uid, patient_id=patient) for uid, patient in batch]
        received = [incoming_of(at_once, dataset) for dataset in datasets]
        for incoming in received:
            incoming.check()
        for arrival in at_once.file_all(received):
            told[0].setdefault(arrival.sop_uid, []).append(arrival.conflict)
        for dataset in datasets:
            arrival = receive(one_by_one, dataset)
            told[1].setdefault(arrival.sop_uid, []).append(arrival.conflict)
    newest = [sorted(file.path.name for file in spool.scan()) for spool in (at_once, one_by_one)]
    assert newest[0] == newest[1]
    assert {uid: any(said) for uid, said in told[0].items()} == {uid: any(said) for uid, said in told[1].items()}


def test_a_clock_that_goes_backwards_does_not_make_old_content_count(spool: Spool) -> None:
    first = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4"))
    future = time.time_ns() + 10**12
    os.utime(first.path, ns=(future, future))
    second = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4", patient_id="P2"))
    assert [file.path for file in spool.scan()] == [second.path]


def test_a_scan_of_what_changed_passes_over_the_rest(spool: Spool) -> None:
    old = receive(spool, instance(series="1.3"))
    os.utime(old.path.parent, (1000, 1000))
    new = receive(spool, instance(series="1.4"))
    assert [file.path for file in spool.scan(changed_after=2000)] == [new.path]


def test_old_content_that_counts_again_is_a_change(spool: Spool) -> None:
    one = instance(study="1.2", series="1.3", sop_uid="1.4")
    receive(spool, one)
    other = receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4", patient_id="P2"))
    os.utime(other.path.parent, (1000, 1000))
    again = receive(spool, one)
    assert [file.path for file in spool.scan(changed_after=2000)] == [again.path]


def test_one_uid_that_begins_like_another_is_no_conflict(spool: Spool) -> None:
    receive(spool, instance(study="1.2", series="1.3", sop_uid="1.4"))
    assert not receive(spool, instance(study="1.2", series="1.3", sop_uid="1.40")).conflict


def test_nothing_shows_before_it_is_filed(spool: Spool) -> None:
    incoming = spool.receive(Origin(CT, "1.4", ExplicitVRLittleEndian, "CT1", "ORCHESTRATOR"))
    incoming.write(memoryview(encoded(instance(sop_uid="1.4"))))
    assert list(spool.scan()) == []
    incoming.discard()
    assert list(spool.incoming.iterdir()) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, "", "../../etc", "Doe^Jane", "1." * 40])
def test_what_cannot_be_filed_leaves_nothing(spool: Spool, keyword: str, value: str | None) -> None:
    dataset = instance()
    dataset[keyword]._value = value
    with pytest.raises(UnreadableFile, match=keyword.replace("Instance", " Instance ")):
        receive(spool, dataset)
    assert [path.name for path in spool.folder.rglob("*")] == ["incoming"]


def test_another_instance_than_announced_is_a_mismatch_that_names_uids_only(spool: Spool) -> None:
    with pytest.raises(Mismatch, match=r"^data set has SOP Instance UID 1\.4$"):
        receive(spool, instance(sop_uid="1.4", patient_name="Secret^Name"), sop_uid="1.5")
    assert list(spool.scan()) == []


def test_the_source_is_known_after_a_restart(spool: Spool) -> None:
    told = receive(spool, instance())
    (file,) = Spool(spool.folder).scan()
    again = spool.arrival(file)
    assert (again.path, again.sop_class, again.calling, again.called) == (told.path, CT, "CT1", "ORCHESTRATOR")
    assert (again.study_uid, again.series_uid, again.sop_uid) == (told.study_uid, told.series_uid, told.sop_uid)


def test_a_sweep_takes_what_a_dead_process_left_and_leaves_what_is_being_received(spool: Spool) -> None:
    spool.receive(Origin(CT, "1.4", ExplicitVRLittleEndian, "CT1", "ORCHESTRATOR"))._file.close()
    live = spool.receive(Origin(CT, "1.4", ExplicitVRLittleEndian, "CT1", "ORCHESTRATOR"))
    assert Spool(spool.folder).sweep() == 1
    assert list(spool.incoming.iterdir()) == [live._path]
    live.discard()


def test_nothing_is_received_below_the_watermark(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", minimum_free_mb=1 << 40)
    with pytest.raises(StorageFull, match="MB free and the minimum is"):
        receive(spool, instance())


def test_a_series_folder_that_was_cleared_away_is_made_again(spool: Spool) -> None:
    first = receive(spool, instance(study="1.2", series="1.3"))
    first.path.unlink()
    first.path.parent.rmdir()
    first.path.parent.parent.rmdir()
    assert receive(spool, instance(study="1.2", series="1.3")).path.exists()


def test_strangers_in_the_folder_are_no_instances(spool: Spool) -> None:
    arrival = receive(spool, instance())
    (arrival.path.parent / "notes.txt").write_text("hello")
    (arrival.path.parent / "Doe^Jane-0123456789ab.dcm").write_bytes(b"")
    (spool.folder / "lost+found").mkdir()
    assert [file.path for file in spool.scan()] == [arrival.path]


def test_a_file_whose_header_is_gone_is_unreadable(spool: Spool) -> None:
    receive(spool, instance()).path.write_bytes(b"nothing")
    (file,) = spool.scan()
    with pytest.raises(UnreadableFile):
        spool.arrival(file)


def test_no_series_has_no_files(spool: Spool) -> None:
    assert spool.series_files("1.2", "1.2.3") == spool.series_files("1.2", "../..") == ()


def test_a_filed_instance_reads_like_the_one_that_was_sent(spool: Spool) -> None:
    dataset = instance(patient_name="山田^太郎", character_set="ISO_IR 192")
    content = BytesIO(receive(spool, dataset).path.read_bytes())
    assert dcmread(content).PatientName == "山田^太郎"


def test_instances_are_found_by_their_uids_alone_and_the_newest_content_counts(spool: Spool) -> None:
    uids = {"study": "1.2", "series": "1.3", "sop_uid": "1.4"}
    receive(spool, instance(**uids))
    newest, other = receive(spool, instance(accession="A2", **uids)), receive(spool, instance())
    receive(spool, instance())
    found = spool.find({"1.4", other.sop_uid, "1.5"})
    assert {sop_uid: file.path for sop_uid, file in found.items()} == {"1.4": newest.path, other.sop_uid: other.path}


def test_the_files_of_older_contents_stay_known_beside_the_newest(spool: Spool) -> None:
    contents = [instance(study="1.2", series="1.3", sop_uid="1.4", accession=f"A{number}") for number in (1, 2, 3)]
    paths = [receive(spool, dataset).path for dataset in contents]
    (file,) = spool.series_files("1.2", "1.3")
    assert (file.path, set(file.older)) == (paths[2], set(paths[:2]))
