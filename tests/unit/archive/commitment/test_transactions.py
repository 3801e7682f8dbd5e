"""Storage commitment: transactions and reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from orchestrator.archive.commitment.transactions import commitment_request, read_result, transaction_uid
from orchestrator.archive.protocol.uid import is_uid
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.ports import ObjectReference

OBJECTS = [ObjectReference("1.2", "1.3", f"1.4.{number}", "1.5") for number in range(3)]


def report(transaction: str = "2.25.7", *, failed: str = "", **reason: int) -> Dataset:
    dataset = commitment_request(transaction, OBJECTS[:2])
    if failed:
        item = Dataset()
        item.ReferencedSOPInstanceUID = failed
        for keyword, value in reason.items():
            setattr(item, keyword, value)
        dataset.FailedSOPSequence = [item]
    return dataset


@given(st.permutations(OBJECTS))
def test_the_transaction_is_the_same_in_any_order(references: list[ObjectReference]) -> None:
    assert transaction_uid("pacs", references) == transaction_uid("pacs", OBJECTS)


@given(st.text(), st.sets(st.sampled_from(OBJECTS), min_size=1))
def test_the_transaction_is_a_uid(archive: str, references: set[ObjectReference]) -> None:
    assert is_uid(transaction_uid(archive, list(references)))


def test_other_objects_and_other_archives_are_other_transactions() -> None:
    asked = [("pacs", OBJECTS), ("pacs", OBJECTS[:2]), ("vna", OBJECTS)]
    assert len({transaction_uid(*each) for each in asked}) == 3


def test_a_report_says_what_is_kept_and_what_has_failed() -> None:
    outcome = read_result(report(failed="1.4.1", FailureReason=0x0112))
    assert (outcome.transaction_uid, outcome.committed) == ("2.25.7", {"1.4.0"})
    assert outcome.failed == {"1.4.1": 0x0112}


def test_a_failure_without_a_reason_is_a_failure() -> None:
    assert read_result(report(failed="1.4.1")).failed == {"1.4.1": 0x0110}


@pytest.mark.parametrize("wrong", [{"transaction": "../../etc/passwd"}, {"failed": "Doe^Jane"}, {"transaction": ""}])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_report_that_names_no_uids_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UnreadableFile, match="report") as refused:
        read_result(report(**wrong))
    assert "Doe" not in str(refused.value)
