import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from orchestrator.archive.protocol.negotiation import (
    STORAGE_CLASSES,
    Context,
    InvalidRequest,
    Proposal,
    Rejection,
    is_file_encoding,
    storage_classes,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def proposal(*contexts: tuple[str, list[str]], calling: str = "CT1") -> Proposal:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, "ORCHESTRATOR"
    request.presentation_context_definition_list = [build_context(*context) for context in contexts]
    for index, context in enumerate(request.presentation_context_definition_list):
        context.context_id = 2 * index + 1
    maximum, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    maximum.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3"
    request.user_information = [maximum, implementation]
    return Proposal.decode(A_ASSOCIATE_RQ(request).encode())


@pytest.mark.parametrize(
    "sop_class",
    [
        CT,
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine, retired, still sent
    ],
)
def test_every_storage_class_is_taken(sop_class: str) -> None:
    answer = proposal((sop_class, [ExplicitVRLittleEndian])).answer()
    assert answer.contexts == {1: Context(sop_class, ExplicitVRLittleEndian)}


@pytest.mark.parametrize("service", ["1.2.840.10008.1.20.1", "1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.2.2.1"])
def test_commitment_media_and_queries_are_no_storage(service: str) -> None:
    assert service not in STORAGE_CLASSES


def test_an_object_comes_as_its_sender_likes_best() -> None:
    answer = proposal((CT, [JPEG2000Lossless, ImplicitVRLittleEndian])).answer()
    assert answer.contexts[1].transfer_syntax == JPEG2000Lossless


def test_each_context_is_answered_by_itself() -> None:
    asked = proposal((CT, [ImplicitVRLittleEndian]), ("1.2.3.4", [ImplicitVRLittleEndian]), (CT, ["1.2.3.5"]))
    answer = asked.answer()
    accept = A_ASSOCIATE_AC()
    accept.decode(answer.pdu)
    results = accept.to_primitive().presentation_context_definition_results_list
    assert [(context.context_id, context.result) for context in results] == [(1, 0), (3, 3), (5, 4)]
    assert set(answer.contexts) == {1}
    assert answer.rejected_classes == {"1.2.3.4"}


def test_we_announce_how_long_a_pdu_may_be() -> None:
    accept = A_ASSOCIATE_AC()
    accept.decode(proposal((CT, [ImplicitVRLittleEndian])).answer().pdu)
    assert accept.to_primitive().maximum_length_received == 128 * 1024


@pytest.mark.parametrize(
    ("syntax", "taken"),
    [
        ("1.2.840.10008.1.2", True),
        ("1.2.840.10008.1.2.4.55", True),  # a retired JPEG process
        ("1.2.840.10008.1.2.4.999", True),  # of a coming edition
        ("1.2.840.10008.1.2.6.1", False),  # RFC 2557 MIME
        ("1.2.840.10008.1.2.7.1", False),  # real-time video
        ("1.2.840.10008.1.20", False),
        ("1.2.3.4", False),
    ],
)
def test_files_come_in_standard_encodings_of_files(syntax: str, taken: bool) -> None:
    assert is_file_encoding(syntax) is taken


@pytest.mark.parametrize("rejection", Rejection)
def test_a_rejection_says_its_reason(rejection: Rejection) -> None:
    assert tuple(rejection.encode()[7:10]) == rejection.value


PRIVATE, COMING, WORKLIST = "1.2.840.113619.4.30", "1.2.840.10008.5.1.4.1.1.999.1", "1.2.840.10008.5.1.4.31"


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (["storage"], {CT}),
        (["any"], {CT, PRIVATE, COMING}),
        ([PRIVATE], {CT, PRIVATE}),
        (["storage", COMING], {CT, COMING}),
    ],
)
def test_unknown_classes_are_taken_where_the_settings_say_so(accept: list[str], taken: set[str]) -> None:
    takes = storage_classes(accept)
    assert {sop_class for sop_class in (CT, PRIVATE, COMING, WORKLIST) if takes(sop_class)} == taken


def test_a_request_that_cannot_be_parsed_is_invalid() -> None:
    content = proposal((CT, [ImplicitVRLittleEndian])).primitive
    with pytest.raises(InvalidRequest, match="cannot be parsed") as invalid:
        Proposal.decode(bytes(A_ASSOCIATE_RQ(content).encode())[:80])
    assert invalid.value.calling == "CT1"
