"""The receiver against DCMTK's and pynetdicom's senders."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from orchestrator.archive import Arrival, Entity, Receiver, Spool
from orchestrator.domain.errors import SettingsError
from tests.data.objects import instance, write_instance, write_instances
from tests.integration.archive.conftest import Station, wait_until
from tests.parts.archive.dcmtk import echoscu, storescu

CT = "1.2.840.10008.5.1.4.1.1.2"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
Start = Callable[..., Station]


@pytest.fixture
def associate() -> Iterator[Callable[..., Association]]:
    """Return a function that opens an association by pynetdicom; what is open at the end is aborted."""
    opened: list[Association] = []

    def open_one(
        port: int, sop_class: str = CT, syntax: str = ExplicitVRLittleEndian, calling: str = "CT1"
    ) -> Association:
        context = build_context(sop_class, syntax)
        association = AE(calling).associate("127.0.0.1", port, contexts=[context], ae_title="ORCHESTRATOR")
        opened.append(association)
        return association

    yield open_one
    for association in opened:
        association.abort()


def test_what_is_acknowledged_is_filed_and_told(station: Station, tmp_path: Path) -> None:
    files = write_instances(tmp_path / "sent", 5)
    assert storescu(station.port, files).returncode == 0
    wait_until(lambda: len(station.closed) == 1)
    sent = {dcmread(path).SOPInstanceUID for path in files}
    assert {arrival.sop_uid for arrival in station.arrivals} == sent == {file.sop_uid for file in station.spool.scan()}


def test_the_end_of_an_association_is_told_after_its_arrivals(station: Station, tmp_path: Path) -> None:
    storescu(station.port, write_instances(tmp_path, 3), calling="CT1")
    wait_until(lambda: len(station.closed) == 1)
    (closed,) = station.closed
    assert (closed.released, closed.calling, closed.called) == (True, "CT1", "ORCHESTRATOR")
    assert {arrival.association for arrival in station.arrivals} == {closed.association}
    assert len(station.arrivals) == 3


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        HTJ2KLossless,
        RLELossless,
    ],
)
def test_every_encoding_arrives_byte_for_byte(
    station: Station, associate: Callable[..., Association], tmp_path: Path, syntax: str
) -> None:
    pixels = bytes(range(128))
    association = associate(station.port, syntax=syntax)
    assert association.send_c_store(instance(transfer_syntax=syntax, pixels=pixels)).Status == 0
    wait_until(lambda: len(station.arrivals) == 1)
    filed = dcmread(station.arrivals[0].path)
    assert (station.arrivals[0].transfer_syntax, filed.file_meta.TransferSyntaxUID) == (syntax, syntax)
    assert pixels in filed.PixelData


@pytest.mark.parametrize(
    ("option", "syntax"), [("-xv", JPEG2000Lossless), ("-xt", JPEGLSLossless), ("-xb", ExplicitVRBigEndian)]
)
def test_dcmtk_sends_in_the_encoding_of_the_file(station: Station, tmp_path: Path, option: str, syntax: str) -> None:
    sent = write_instance(tmp_path / "x.dcm", transfer_syntax=syntax)
    assert storescu(station.port, [sent], option).returncode == 0
    wait_until(lambda: len(station.arrivals) == 1)
    assert station.arrivals[0].transfer_syntax == syntax
    assert dcmread(station.arrivals[0].path) == dcmread(sent)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 192", "山田^太郎"), ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう")],
)
def test_names_keep_their_characters(station: Station, tmp_path: Path, character_set: str, name: str) -> None:
    storescu(station.port, [write_instance(tmp_path / "x.dcm", character_set=character_set, patient_name=name)])
    wait_until(lambda: len(station.arrivals) == 1)
    assert dcmread(station.arrivals[0].path).PatientName == name


def test_a_class_that_pynetdicom_does_not_offer_is_taken(
    station: Station, associate: Callable[..., Association]
) -> None:
    association = associate(station.port, sop_class=LABEL_MAP)
    assert association.send_c_store(instance(sop_class=LABEL_MAP)).Status == 0


def test_two_series_mixed_in_one_association_are_told_apart(station: Station, tmp_path: Path) -> None:
    first, second = write_instances(tmp_path / "a", 3), write_instances(tmp_path / "b", 3)
    storescu(station.port, [file for pair in zip(first, second, strict=True) for file in pair])
    wait_until(lambda: len(station.closed) == 1)
    sent = {(image.StudyInstanceUID, image.SeriesInstanceUID) for image in map(dcmread, (first[0], second[0]))}
    assert {(arrival.study_uid, arrival.series_uid) for arrival in station.arrivals} == sent
    assert all(len(station.spool.series_files(*series)) == 3 for series in sent)


def test_a_resend_is_acknowledged_and_told_as_a_duplicate(station: Station, tmp_path: Path) -> None:
    files = write_instances(tmp_path, 2)
    assert storescu(station.port, files).returncode == storescu(station.port, files).returncode == 0
    wait_until(lambda: len(station.closed) == 2)
    assert [arrival.duplicate for arrival in station.arrivals] == [False, False, True, True]
    assert len(list(station.spool.scan())) == 2


def test_a_corrected_resend_is_a_conflict(station: Station, tmp_path: Path) -> None:
    uids = {"study": "1.2", "series": "1.3", "sop_uid": "1.4"}
    storescu(station.port, [write_instance(tmp_path / "x.dcm", **uids)])
    storescu(station.port, [write_instance(tmp_path / "y.dcm", accession="A2", **uids)])
    wait_until(lambda: len(station.closed) == 2)
    assert [arrival.conflict for arrival in station.arrivals] == [False, True]
    assert [file.path for file in station.spool.scan()] == [station.arrivals[1].path]


def test_a_sender_that_aborts_keeps_what_was_acknowledged(
    station: Station, associate: Callable[..., Association]
) -> None:
    association = associate(station.port)
    acknowledged = instance()
    assert association.send_c_store(acknowledged).Status == 0
    association.abort()
    wait_until(lambda: len(station.closed) == 1)
    assert not station.closed[0].released
    assert [file.sop_uid for file in station.spool.scan()] == [acknowledged.SOPInstanceUID]


def test_the_end_says_how_many_its_sender_has_still_open(
    station: Station, associate: Callable[..., Association]
) -> None:
    first, second, _ = associate(station.port), associate(station.port), associate(station.port, calling="MR1")
    first.release()
    wait_until(lambda: len(station.closed) == 1)
    second.release()
    wait_until(lambda: len(station.closed) == 2)
    assert [(closed.released, closed.others_open) for closed in station.closed] == [(True, 1), (True, 0)]


def test_echo_is_answered(station: Station) -> None:
    assert echoscu(station.port).returncode == 0


@pytest.mark.parametrize("titles", [{"called": "SOMEBODY"}, {"calling": "STRANGER"}])
def test_a_wrong_title_is_rejected(start: Start, tmp_path: Path, titles: dict[str, str]) -> None:
    station = start(entities=[Entity(allow=frozenset({"CT1"}))])
    answer = storescu(station.port, write_instances(tmp_path, 1), **({"calling": "CT1"} | titles))
    assert "Reason: Call" in answer.stderr
    assert list(station.spool.scan()) == []
    assert storescu(station.port, write_instances(tmp_path, 1), calling="CT1").returncode == 0


def test_without_a_list_of_senders_only_the_loopback_is_served(tmp_path: Path) -> None:
    parameters = {"on_stored": print, "on_closed": print}
    with pytest.raises(SettingsError, match=r"receiver\.allow"):
        Receiver(Spool(tmp_path), host="0.0.0.0", port=0, **parameters)
    Receiver(Spool(tmp_path), host="0.0.0.0", port=0, entities=[Entity(allow=frozenset({"CT1"}))], **parameters)


def test_a_full_disk_is_told_to_the_sender_and_the_association_goes_on(
    start: Start, associate: Callable[..., Association]
) -> None:
    station = start(minimum_free_mb=1 << 40)
    association = associate(station.port)
    answers = [association.send_c_store(instance()) for _ in range(2)]
    assert [(answer.Status, answer.ErrorComment) for answer in answers] == [(0xA700, "disk is full")] * 2
    assert list(station.spool.scan()) == list(station.spool.incoming.iterdir()) == []


def test_what_cannot_be_filed_is_not_acknowledged_and_the_rest_is(
    station: Station, associate: Callable[..., Association], caplog: pytest.LogCaptureFixture
) -> None:
    broken = instance(sop_uid="1.2.3", patient_name="Secret^Name", patient_id="SECRET")
    del broken.SeriesInstanceUID
    association = associate(station.port)
    assert association.send_c_store(broken).Status == 0xC000
    assert association.send_c_store(instance()).Status == 0
    line = "C-STORE of 1.2.3 from CT1 at 127.0.0.1 refused with C000H: Series Instance UID is missing or invalid"
    assert line in caplog.text
    assert "ecret" not in caplog.text.lower()


def test_an_observer_that_fails_costs_nothing(start: Start, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the observer is broken")

    station = start(on_stored=fail, on_closed=fail)
    files = write_instances(tmp_path, 3)
    assert storescu(station.port, files).returncode == storescu(station.port, files).returncode == 0
    assert len(list(station.spool.scan())) == 3


def test_one_association_too_many_is_told_to_come_back_later(
    start: Start, associate: Callable[..., Association]
) -> None:
    station = start(maximum_associations=1)
    associate(station.port)
    second = associate(station.port)
    assert second.is_rejected
    assert second.acceptor.primitive is not None
    assert second.acceptor.primitive.result == 2  # transient


def test_an_idle_association_does_not_hold_up_the_stop(station: Station, associate: Callable[..., Association]) -> None:
    association = associate(station.port)
    station.receiver.stop(limit_seconds=5)
    wait_until(lambda: association.is_aborted)
    wait_until(lambda: [closed.released for closed in station.closed] == [False])


def test_four_associations_at_once_lose_nothing(station: Station, tmp_path: Path) -> None:
    batches = [write_instances(tmp_path / str(index), 20) for index in range(4)]
    senders = [threading.Thread(target=storescu, args=(station.port, batch)) for batch in batches]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    wait_until(lambda: len(station.closed) == 4)
    assert len(list(station.spool.scan())) == len(station.arrivals) == 80


def test_the_name_of_a_file_proves_its_content(station: Station, tmp_path: Path) -> None:
    storescu(station.port, write_instances(tmp_path, 1))
    wait_until(lambda: len(station.arrivals) == 1)
    arrival: Arrival = station.arrivals[0]
    content = arrival.path.read_bytes()
    start = content.index(b"\x08\x00\x05\x00")  # the data set's first element, Specific Character Set
    assert arrival.path.stem.endswith(hashlib.sha256(content[start:]).hexdigest()[:12])


PRIVATE = "1.2.840.113619.4.30"


def test_a_class_that_is_not_taken_is_named_once(
    station: Station, associate: Callable[..., Association], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = associate(station.port, sop_class=PRIVATE), associate(station.port, sop_class=PRIVATE)
    assert not first.accepted_contexts + second.accepted_contexts
    assert caplog.text.count(f"SOP class {PRIVATE} ") == 1
    assert "from CT1 at 127.0.0.1 rejected; to accept it, add it to receiver.accept" in caplog.text


@pytest.mark.parametrize("accept", [["any"], ["storage", PRIVATE]])
def test_a_private_class_is_taken_where_the_settings_say_so(
    start: Start, associate: Callable[..., Association], accept: list[str]
) -> None:
    station = start(accept=accept)
    association = associate(station.port, sop_class=PRIVATE)
    assert association.send_c_store(instance(sop_class=PRIVATE)).Status == 0
    wait_until(lambda: [arrival.sop_class for arrival in station.arrivals] == [PRIVATE])
