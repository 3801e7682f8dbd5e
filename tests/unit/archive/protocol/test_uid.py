import pytest

from orchestrator.archive.protocol.uid import is_uid, printable_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.1", "1" * 64, "1.02.3"])
def test_digits_and_dots_are_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "1..2", ".1", "1.", "1" * 65, "../1", "1/2", "1.2\n", "1.2 ", "1.2\0", "Doe^Jane", "１.２"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_uid(text)


def test_what_is_no_uid_is_never_shown() -> None:
    assert printable_uid("Doe^Jane") == "(not a UID)"
