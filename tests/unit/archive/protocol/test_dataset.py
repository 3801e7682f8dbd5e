from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom.dsutils import encode

from orchestrator.archive.protocol.dataset import Identity, file_header, read_identity
from orchestrator.domain.errors import UnreadableFile
from tests.data.objects import instance

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
]


def encoded(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    uid = dataset.file_meta.TransferSyntaxUID = type(ExplicitVRLittleEndian)(syntax)
    answer = encode(dataset, uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    assert answer is not None
    return answer


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_identity_is_read_from_every_encoding(syntax: str) -> None:
    dataset = instance(study="1.2", series="1.3", sop_uid="1.4")
    identity = read_identity(BytesIO(encoded(dataset, syntax)), syntax)
    assert identity == Identity("1.2.840.10008.5.1.4.1.1.2", "1.4", "1.2", "1.3")


def test_sequences_and_private_blocks_before_it_are_passed_over() -> None:
    dataset = instance(study="1.2", series="1.3")
    item = Dataset()
    item.StudyInstanceUID = "6.6.6"  # the same attribute within a sequence is somebody else's
    dataset.ReferencedStudySequence = [item]
    dataset["ReferencedStudySequence"].is_undefined_length = True
    dataset.private_block(0x0019, "A VENDOR", create=True).add_new(1, "OB", bytes(100_000))
    assert read_identity(BytesIO(encoded(dataset)), ExplicitVRLittleEndian).study_uid == "1.2"


def test_no_more_is_read_than_needed() -> None:
    stream = BytesIO(encoded(instance(pixels=bytes(1_000_000))))
    read_identity(stream, ExplicitVRLittleEndian)
    assert stream.tell() < 2_000


def test_what_is_absent_is_empty_text() -> None:
    dataset = instance()
    del dataset.StudyInstanceUID
    assert read_identity(BytesIO(encoded(dataset)), ExplicitVRLittleEndian).study_uid == ""


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_any_bytes_have_an_identity_or_are_unreadable(content: bytes, syntax: str) -> None:
    with suppress(UnreadableFile):
        assert isinstance(read_identity(BytesIO(content), syntax), Identity)


def test_a_header_before_the_bytes_makes_a_file_that_says_who_sent_it() -> None:
    dataset = instance(sop_uid="1.2.3", pixels=b"\7" * 128)
    header = file_header(dataset.SOPClassUID, "1.2.3", ExplicitVRLittleEndian, "CT1", "ORCHESTRATOR")
    file = dcmread(BytesIO(header + encoded(dataset)))
    meta = file.file_meta
    assert (meta.SourceApplicationEntityTitle, meta.ReceivingApplicationEntityTitle) == ("CT1", "ORCHESTRATOR")
    assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == ("1.2.3", ExplicitVRLittleEndian)
    assert file.PixelData == b"\7" * 128
