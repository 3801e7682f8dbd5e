"""Whatever lies in a folder: read_instance names what it cannot read, and nothing else happens."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian

from orchestrator.dicom import read_instance
from orchestrator.domain.errors import UnreadableFile
from tests.data.series import ct_series

BROKEN = {
    "nothing": b"",
    "text": b"Dear colleague, please find attached the images.\n" * 20,
    "zeros": bytes(4096),
    "a preamble alone": bytes(128) + b"DICM",
    "a wrong meta header": bytes(128) + b"DICM" + b"\xff" * 400,
    "a ZIP": b"PK\x03\x04" + bytes(range(256)) * 4,
    "a DICOMDIR without UIDs": bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 2, b"UI", 4) + b"1.2\0",
}


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> bytes:
    return ct_series(tmp_path_factory.mktemp("image"), slices=1, rows=8, columns=8)[0].read_bytes()


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_dicom_is_named_unreadable(content, tmp_path):
    (tmp_path / "found.bin").write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_instance(tmp_path / "found.bin")


def test_a_folder_and_a_missing_file_are_named_unreadable(tmp_path):
    for path in (tmp_path, tmp_path / "gone.dcm"):
        with pytest.raises(UnreadableFile):
            read_instance(path)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_an_object_without_a_uid_of_its_own_is_refused(keyword, image, tmp_path):
    dataset = dcmread(io.BytesIO(image))
    delattr(dataset, keyword)
    dataset.save_as(tmp_path / "without.dcm")
    with pytest.raises(UnreadableFile, match=keyword):
        read_instance(tmp_path / "without.dcm")


@pytest.mark.parametrize("uid", ["../../etc/passwd", "..", ".", "1..2", "1.2.", "1" * 65, "١.٢"])
def test_a_uid_that_could_be_a_path_is_refused(uid, image, tmp_path):
    dataset = dcmread(io.BytesIO(image))
    dataset.add_new("SOPInstanceUID", "UC", uid)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset)
    (tmp_path / "x.dcm").write_bytes(buffer.getvalue())
    with pytest.raises(UnreadableFile, match="SOPInstanceUID"):
        read_instance(tmp_path / "x.dcm")


def test_the_message_holds_no_patient_data(image, tmp_path):
    (tmp_path / "cut.dcm").write_bytes(image[: image.index(b"Phantom^Synthetic") + 5])
    with pytest.raises(UnreadableFile) as fault:
        read_instance(tmp_path / "cut.dcm")
    assert "Phant" not in str(fault.value)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_dataset_without_preamble_and_meta_header_is_read(explicit, image, tmp_path):
    dataset = dcmread(io.BytesIO(image))
    buffer = io.BytesIO()
    dcmwrite(buffer, _without_meta(dataset), implicit_vr=not explicit, little_endian=True, enforce_file_format=False)
    (tmp_path / "bare").write_bytes(buffer.getvalue())
    assert read_instance(tmp_path / "bare").sop_uid == dataset.SOPInstanceUID


def _without_meta(dataset):
    bare = dataset.copy()
    bare.file_meta.clear()
    bare.preamble = None
    return bare


def test_a_file_cut_inside_its_header_is_unreadable(image, tmp_path):
    at = image.index(b"ORCHESTRATOR")  # in the value of Issuer of Patient ID
    (tmp_path / "cut.dcm").write_bytes(image[: at + 3])
    with pytest.raises(UnreadableFile, match="ends inside its header"):
        read_instance(tmp_path / "cut.dcm")


def test_broken_deflated_bytes_are_unreadable(tmp_path):
    (path,) = ct_series(tmp_path, slices=1, rows=8, columns=8, transfer_syntax=DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    path.write_bytes(content[:-60] + zlib.compress(b"noise"))
    with pytest.raises(UnreadableFile):
        read_instance(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_changed_anywhere_give_an_instance_or_a_named_fault(data, image, tmp_path):
    changed = bytearray(image)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(image)))
    path: Path = tmp_path / "changed.dcm"
    path.write_bytes(bytes(changed[:cut]) if data.draw(st.booleans()) else bytes(changed))
    with suppress(UnreadableFile):  # and nothing but this
        assert read_instance(path).digest == read_instance(path).digest
