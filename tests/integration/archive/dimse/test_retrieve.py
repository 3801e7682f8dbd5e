"""Series fetched by C-GET and C-MOVE: from dcmqrscp, and from peers that end badly."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND  # noqa: N814
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET  # noqa: N814
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as MOVE  # noqa: N814

from orchestrator.archive import Arrival, Notification, Spool, SpoolInbox
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, StorageFull
from orchestrator.domain.ports import FoundSeries
from tests.data.objects import instance, write_instances
from tests.integration.archive.conftest import Station
from tests.parts.archive.dcmtk import Peer, dcmqrscp, free_port
from tests.parts.archive.dicom_peer import Handlers, ScriptedPeer, connected, dataset_of, peer_that, scripted_peer

CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES = FoundSeries("1.2", "1.3")
IMAGES = [instance(study="1.2", series="1.3", sop_uid=f"1.4.{number}") for number in range(3)]


@pytest.fixture(scope="module")
def receiver_port() -> int:
    """Return where the archives send what a C-MOVE asks for."""
    return free_port()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, receiver_port: int) -> Iterator[tuple[Peer, list[Path]]]:
    """Return a dcmqrscp and the files of the series that it holds."""
    folder = tmp_path_factory.mktemp("retrieve")
    with dcmqrscp(folder / "archive", moves_to={"ORCHESTRATOR": receiver_port}) as peer:
        files = write_instances(folder / "files", 4, study="1.2", series="1.3")
        connected(peer.url).store(files)
        connected(peer.url).store(write_instances(folder / "others", 1, study="1.2"))
        yield peer, files


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedPeer]:
    with scripted_peer(FIND, GET, MOVE, sends=[CT], syntaxes=[ExplicitVRLittleEndian, JPEG2000Lossless]) as peer:
        yield peer


class Kept:
    """An inbox in a spool of its own, and what it told."""

    def __init__(self, folder: Path, **parameters: int) -> None:
        self.told: list[Notification] = []
        spool = Spool(folder / "spool", **({"minimum_free_mb": 0} | parameters))
        self.inbox = SpoolInbox(spool, source="pacs", series_uid=SERIES.series_uid, notify=self.told.append)

    @property
    def arrivals(self) -> list[Arrival]:
        self.inbox.settle()
        return [note for note in self.told if isinstance(note, Arrival)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.inbox.close(whole=False)


def hands_out(images: Iterable[Dataset], *, answers: Sequence[dict[str, Any]] | None = None, ends: int = 0) -> Handlers:
    """Return a script: C-GET sends the images.

    answers: to a query at IMAGE level; by default the images' UIDs and classes. ends: status with which it
    stops before the last image.
    """
    sent = list(images)
    told = [{"SOPInstanceUID": each.SOPInstanceUID, "SOPClassUID": each.SOPClassUID} for each in sent]

    def find(_: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for answer in told if answers is None else answers:
            yield 0xFF00, dataset_of(**answer)

    def get(_: evt.Event) -> Iterator[int | tuple[int, Dataset | None]]:
        yield len(sent) + bool(ends)
        for each in sent:
            yield 0xFF00, each
        if ends:
            yield ends, Dataset()

    return {evt.EVT_C_FIND: find, evt.EVT_C_GET: get}


def test_a_series_comes_by_c_get_and_nothing_else_does(held: tuple[Peer, list[Path]], kept: Kept) -> None:
    archive, files = held
    assert connected(archive.url).fetch(SERIES, kept.inbox) == 4
    assert not kept.inbox.expects_pushed
    assert {arrival.sop_uid for arrival in kept.arrivals} == {dcmread(path).SOPInstanceUID for path in files}


def test_what_came_is_what_was_held(held: tuple[Peer, list[Path]], kept: Kept) -> None:
    archive, files = held
    connected(archive.url).fetch(SERIES, kept.inbox)
    came = {arrival.sop_uid: dcmread(arrival.path) for arrival in kept.arrivals}
    assert came == {dcmread(path).SOPInstanceUID: dcmread(path) for path in files}


def test_a_c_move_sends_to_the_receiver_and_says_how_many(
    held: tuple[Peer, list[Path]], kept: Kept, start: Callable[..., Station], receiver_port: int
) -> None:
    station = start(port=receiver_port)
    archive = connected(held[0].url, retrieve="move", move_to="ORCHESTRATOR")
    assert archive.fetch(SERIES, kept.inbox) == len(station.arrivals) == 4
    assert kept.told == []


def test_an_archive_without_c_get_is_asked_for_a_c_move(
    tmp_path: Path, kept: Kept, start: Callable[..., Station], receiver_port: int
) -> None:
    station = start(port=receiver_port)
    with dcmqrscp(tmp_path / "archive", "--disable-get", moves_to={"ORCHESTRATOR": receiver_port}) as old:
        connected(old.url).store(write_instances(tmp_path, 2, study="1.2", series="1.3"))
        assert connected(old.url, move_to="ORCHESTRATOR").fetch(SERIES, kept.inbox) == 2
        with pytest.raises(ArchiveRefused, match="move_to"):
            connected(old.url).fetch(SERIES, kept.inbox)
    assert len(station.arrivals) == 2


def test_a_destination_that_the_archive_does_not_know_is_named(held: tuple[Peer, list[Path]], kept: Kept) -> None:
    archive = connected(held[0].url, retrieve="move", move_to="NOBODY")
    with pytest.raises(ArchiveRefused, match="does not know the destination of a C-MOVE to NOBODY"):
        archive.fetch(SERIES, kept.inbox)


def test_a_receiver_that_is_down_is_no_success(held: tuple[Peer, list[Path]], kept: Kept) -> None:
    archive = connected(held[0].url, retrieve="move", move_to="ORCHESTRATOR")
    with pytest.raises(ArchiveUnavailable, match="C-MOVE to ORCHESTRATOR"):
        archive.fetch(SERIES, kept.inbox)
    assert kept.inbox.expects_pushed  # what came before the fault belongs to this fetch


def test_a_compressed_image_comes_as_it_is(peer: ScriptedPeer, kept: Kept) -> None:
    packed = instance(study="1.2", series="1.3", transfer_syntax=JPEG2000Lossless)
    peer.script = hands_out([packed, IMAGES[0]])
    assert connected(peer.url).fetch(SERIES, kept.inbox) == 2
    assert {arrival.transfer_syntax for arrival in kept.arrivals} == {JPEG2000Lossless, ExplicitVRLittleEndian}


def test_classes_that_the_archive_does_not_name_are_proposed_all(peer: ScriptedPeer, kept: Kept) -> None:
    peer.script = hands_out(IMAGES, answers=[{"SOPInstanceUID": each.SOPInstanceUID} for each in IMAGES])
    assert connected(peer.url).fetch(SERIES, kept.inbox) == 3


def test_answers_that_name_no_images_are_passed_over(peer: ScriptedPeer, kept: Kept) -> None:
    peer.script = hands_out(IMAGES, answers=[{"InstanceNumber": "1"}])
    assert connected(peer.url).fetch(SERIES, kept.inbox) == 3


def test_a_class_that_does_not_come_by_c_get_is_named(peer: ScriptedPeer, kept: Kept) -> None:
    peer.script = hands_out(IMAGES, answers=[{"SOPInstanceUID": "1.4.0", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}])
    with pytest.raises(ArchiveRefused, match=r"of class 1\.2\.840\.10008\.5\.1\.4\.1\.1\.4 by C-GET"):
        connected(peer.url).fetch(SERIES, kept.inbox)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (
            hands_out(IMAGES[:2], answers=[{"SOPInstanceUID": f"1.4.{n}"} for n in range(3)]),
            ArchiveUnavailable,
            "2 of 3",
        ),
        (hands_out(IMAGES, ends=0xA702), ArchiveUnavailable, "A702H"),
        (hands_out(IMAGES, ends=0xA900), ArchiveRefused, "A900H"),
        (hands_out(IMAGES, ends=0xFE00), ArchiveUnavailable, "cancelled"),
    ],
)
def test_a_series_that_does_not_come_whole_is_an_error_and_what_came_stays(
    peer: ScriptedPeer, kept: Kept, script: Handlers, error: type[Exception], message: str
) -> None:
    peer.script = script
    with pytest.raises(error, match=message):
        connected(peer.url).fetch(SERIES, kept.inbox)
    assert len(kept.arrivals) >= 2


def test_images_that_the_archive_cannot_send_are_counted(peer: ScriptedPeer, kept: Kept) -> None:
    other = instance(study="1.2", series="1.3", sop_class="1.2.840.10008.5.1.4.1.1.4")
    peer.script = hands_out([*IMAGES, other], answers=[])
    with pytest.raises(ArchiveUnavailable, match="images failed: 1, sent: 3"):
        connected(peer.url).fetch(SERIES, kept.inbox)


def test_an_abort_half_way_is_unavailable_and_what_came_stays(peer: ScriptedPeer, kept: Kept) -> None:
    def get(event: evt.Event) -> Iterator[int | tuple[int, Dataset]]:
        yield 3
        yield 0xFF00, IMAGES[0]
        event.assoc.abort()

    peer.script = hands_out(IMAGES) | {evt.EVT_C_GET: get}
    with pytest.raises(ArchiveUnavailable, match="did not answer a C-GET"):
        connected(peer.url).fetch(SERIES, kept.inbox)
    assert [arrival.sop_uid for arrival in kept.arrivals] == ["1.4.0"]


def test_an_image_of_another_series_is_left_out(
    peer: ScriptedPeer, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    strange = instance(study="1.2", series="1.9", sop_uid="1.4.9", patient_name="Other^Patient")
    peer.script = hands_out([*IMAGES, strange])
    assert connected(peer.url).fetch(SERIES, kept.inbox) == 3
    assert "instance 1.4.9 from archive 'pacs' (" in caplog.text
    assert "Other" not in caplog.text


def test_nothing_but_images_of_other_series_is_refused(peer: ScriptedPeer, kept: Kept) -> None:
    peer.script = hands_out([instance(study="1.2", series="1.9")])
    with pytest.raises(ArchiveRefused, match="sent no valid image"):
        connected(peer.url).fetch(SERIES, kept.inbox)


def test_a_full_disk_ends_the_retrieve(peer: ScriptedPeer, tmp_path: Path) -> None:
    full = Kept(tmp_path, minimum_free_mb=1 << 40)
    peer.script = hands_out(IMAGES)
    with pytest.raises(StorageFull):
        connected(peer.url).fetch(SERIES, full.inbox)
    assert full.told == []


def test_a_series_that_the_archive_does_not_hold_brings_nothing(held: tuple[Peer, list[Path]], kept: Kept) -> None:
    assert connected(held[0].url).fetch(FoundSeries("1.2", "1.9.9"), kept.inbox) == 0


def test_an_archive_that_cannot_be_queried_is_fetched_from(kept: Kept) -> None:
    with peer_that(hands_out(IMAGES), GET, sends=[CT]) as url:
        assert connected(url).fetch(SERIES, kept.inbox) == 3
