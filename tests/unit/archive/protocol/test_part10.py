"""What the file meta information of a DICOM file says, and nothing else of it."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from orchestrator.archive.protocol.part10 import describe_file
from orchestrator.domain.errors import UnreadableFile

CLASS, UID, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1"
PRIVATE = b"\x02\x00\x02\x01OB\0\0\x04\0\0\0\x01\x02\x03\x04"


def element(number: int, value: str, vr: bytes = b"UI") -> bytes:
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value.encode()


def file(*elements: bytes, dataset: bytes = b"the data set") -> bytes:
    meta = b"".join(elements)
    return bytes(128) + b"DICM\x02\0\0\0UL\x04\0" + struct.pack("<I", len(meta)) + meta + dataset


NAMED = (element(2, f"{CLASS}\0"), element(3, f"{UID}\0"), element(0x10, f"{SYNTAX}\0"))


def test_it_says_what_the_file_holds() -> None:
    version = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01"
    told = describe_file([file(version, *NAMED, element(0x12, "1.2"), PRIVATE)])
    assert (told.sop_class, told.sop_uid, told.transfer_syntax) == (CLASS, UID, SYNTAX)
    assert b"".join(told.dataset) == b"the data set"


@pytest.mark.parametrize("padding", ["", "\0", " "])
def test_padding_is_no_part_of_a_uid(padding: str) -> None:
    told = describe_file([file(NAMED[0], element(3, UID + padding), NAMED[2])])
    assert told.sop_uid == UID


@pytest.mark.parametrize(
    "elements",
    [
        NAMED[:2],
        (*NAMED[:2], element(0x10, "")),
        (*NAMED[:2], element(0x10, "1.2.\xe9")),
        (*NAMED, element(0x12, "1.2")[:-2]),
        (*NAMED, PRIVATE[:-2]),
        (*NAMED, PRIVATE[:9]),
        (*NAMED, b"\x02\0\x12"),
        (*NAMED, b"\x08\0\x16\0UI\x02\0" + b"1\0"),
    ],
    ids=["absent", "empty", "no ASCII", "half", "half a long one", "half a length", "half a tag", "another group"],
)
def test_what_does_not_say_so_is_refused(elements: tuple[bytes, ...]) -> None:
    with pytest.raises(UnreadableFile, match="not a DICOM file"):
        describe_file([file(*elements)])


@given(meta=st.binary(max_size=200))
def test_no_bytes_are_another_fault_than_an_unreadable_file(meta: bytes) -> None:
    try:
        describe_file([file(meta)])
    except UnreadableFile:
        return
    assert all(number in meta for number in (b"\x02\0\x02\0", b"\x02\0\x03\0", b"\x02\0\x10\0"))


@given(
    uid=st.from_regex(r"[1-9]{1,8}(\.[1-9]{1,8}){1,6}", fullmatch=True),
    title=st.text("ABCDEFGH_", min_size=1, max_size=16),
)
def test_it_is_read_as_pydicom_reads_it(uid: str, title: str) -> None:
    written, dataset = BytesIO(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.SourceApplicationEntityTitle = title
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, uid
    dataset.save_as(written, enforce_file_format=True)
    told, meta = describe_file([written.getvalue()]), dcmread(BytesIO(written.getvalue())).file_meta
    assert told.sop_class == meta.MediaStorageSOPClassUID
    assert (told.sop_uid, told.transfer_syntax) == (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID)
