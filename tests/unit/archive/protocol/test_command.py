from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import decode

from orchestrator.archive.protocol.command import NO_DATA_SET, Command, Element, Status, encode, response

STORE = encode(
    {
        Element.AFFECTED_SOP_CLASS_UID: "1.2.840.10008.5.1.4.1.1.2",
        Element.COMMAND_FIELD: 1,
        Element.MESSAGE_ID: 7,
        Element.COMMAND_DATA_SET_TYPE: 0,
        Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
    }
)


def test_a_command_set_reads_back() -> None:
    command = Command(STORE)
    assert command.number(Element.MESSAGE_ID) == 7
    assert command.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert command.has_data_set


def test_pydicom_reads_our_response() -> None:
    answer = decode(BytesIO(response(Command(STORE), Status.OUT_OF_RESOURCES, "the disk is full")), True, True)
    assert (answer.CommandField, answer.MessageIDBeingRespondedTo, answer.Status) == (0x8001, 7, 0xA700)
    assert (answer.AffectedSOPInstanceUID, answer.ErrorComment) == ("1.2.3", "the disk is full")
    assert answer.CommandDataSetType == NO_DATA_SET


def test_the_group_length_counts_the_rest() -> None:
    assert int.from_bytes(STORE[8:12], "little") == len(STORE) - 12


def test_a_comment_is_no_longer_than_its_representation_allows() -> None:
    answer = Command(response(Command(STORE), Status.CANNOT_UNDERSTAND, "x" * 100))
    assert answer.text(Element.ERROR_COMMENT) == "x" * 64


@pytest.mark.parametrize("cut", [1, 7, 13, len(STORE) - 1])
def test_half_a_command_set_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="command set"):
        Command(STORE[:cut])


def test_a_missing_element_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(0000,0100\)"):
        Command(b"").number(Element.COMMAND_FIELD)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_set_or_a_value_error(encoded: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(Command(encoded).text(Element.AFFECTED_SOP_CLASS_UID), str)
