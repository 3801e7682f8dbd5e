"""What we agree to when a peer asks for an association (PS3.8 section 7, PS3.7 annex D)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import cast

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext

from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model SOP Class and its one well-known instance (PS3.4 J.3.5)."""
VERIFICATION = "1.2.840.10008.1.1"
ANNOUNCED_PDU_BYTES = 128 << 10
"""The longest P-DATA-TF that we ask for unless told otherwise; longer ones gain nothing."""

_ACCEPTED, _ABSTRACT_SYNTAX_NOT_SUPPORTED, _TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x00, 0x03, 0x04
"""Results of one presentation context (PS3.8 table 9-18)."""


def _storage_classes() -> frozenset[str]:
    """Return every Storage SOP Class that pydicom or pynetdicom knows, retired ones too.

    Old devices send retired classes, and each of the two libraries knows new ones that the other lacks.
    """
    named = {uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and "Storage" in name}
    services = {uid for uid in named if not uid.startswith("1.2.840.10008.5.1.4.")}  # media, commitment
    return frozenset(named - services) | {str(context.abstract_syntax) for context in AllStoragePresentationContexts}


STORAGE_CLASSES = _storage_classes()
_STANDARD = "1.2.840.10008."
_STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."
COMMITMENT_ENCODINGS = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

Takes = Callable[[str], bool]
"""Says of a SOP Class UID whether objects of it are taken."""


def storage_classes(accept: Collection[str] = ("storage",)) -> Takes:
    """Return what says which objects are taken.

    accept: ``storage``, every Storage SOP Class that is known; ``any``, those of coming editions and all private
    ones too; or UIDs, beside the known ones. What the standard has for other services is never storage.
    """
    further = frozenset(accept)

    def takes(sop_class: str) -> bool:
        if sop_class in STORAGE_CLASSES or sop_class in further:
            return True
        return "any" in further and (sop_class.startswith(_STANDARD_STORAGE) or not sop_class.startswith(_STANDARD))

    return takes


def is_file_encoding(transfer_syntax: str) -> bool:
    """Return True for every standard Transfer Syntax of files, those of coming editions too.

    They hang under one root (PS3.6 annex A), as do MIME and XML (.6) and real-time video (.7), which
    are no encodings of files. What private ones mean nobody could tell when the file is read.
    """
    root = "1.2.840.10008.1.2"
    no_files = (f"{root}.6.", f"{root}.7.")
    return f"{transfer_syntax}.".startswith(f"{root}.") and not transfer_syntax.startswith(no_files)


def file_encodings() -> frozenset[str]:
    """Return the Transfer Syntaxes of files that the standard has, as far as pydicom knows them."""
    return frozenset(
        uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax" and is_file_encoding(uid)
    )


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    CALLING_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_NOT_RECOGNIZED = (1, 1, 7)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)

    def encode(self) -> bytes:
        """Return the A-ASSOCIATE-RJ PDU."""
        primitive = A_ASSOCIATE()
        primitive.result, primitive.result_source, primitive.diagnostic = self.value
        return A_ASSOCIATE_RJ(primitive).encode()


@dataclass(frozen=True, slots=True)
class Context:
    """One accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What we agree to: the A-ASSOCIATE-AC PDU, the contexts by ID, and the abstract syntaxes not taken here."""

    encoded: bytes
    contexts: Mapping[int, Context]
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A peer's A-ASSOCIATE-RQ. ``maximum_pdu``: the longest P-DATA-TF it takes in bytes, 0 = any."""

    primitive: A_ASSOCIATE
    calling: str
    called: str
    maximum_pdu: int

    @classmethod
    def decode(cls, pdu: bytes) -> Proposal:
        """Return the proposal of a whole PDU, its header included.

        Raises ValueError, or anything that pynetdicom raises on a malformed PDU.
        """
        request = A_ASSOCIATE_RQ()
        request.decode(pdu)
        primitive = request.to_primitive()
        calling, called = primitive.calling_ae_title.strip(), primitive.called_ae_title.strip()
        if not (calling + called).isprintable():
            raise ValueError("an AE title with control characters")
        return cls(primitive, calling, called, primitive.maximum_length_received or 0)

    def answer(self, maximum_pdu: int = ANNOUNCED_PDU_BYTES, takes: Takes = STORAGE_CLASSES.__contains__) -> Answer:
        """Return what we agree to of the proposal.

        maximum_pdu: the longest P-DATA-TF that we ask for, in bytes.
        """
        results = [_judge(proposed, takes) for proposed in self.primitive.presentation_context_definition_list]
        accept = A_ASSOCIATE()
        accept.application_context_name = UID("1.2.840.10008.3.1.1.1")
        accept.calling_ae_title = self.primitive.calling_ae_title
        accept.called_ae_title = self.primitive.called_ae_title
        accept.result, accept.result_source = 0x00, 0x01
        accept.presentation_context_definition_results_list = results
        accept.user_information.extend([*_user_information(maximum_pdu), *self._roles()])
        refused = frozenset(
            str(each.abstract_syntax) for each in results if each.result == _ABSTRACT_SYNTAX_NOT_SUPPORTED
        )
        return Answer(A_ASSOCIATE_AC(accept).encode(), _accepted(results), refused)

    def _roles(self) -> list[SCP_SCU_RoleSelectionNegotiation]:
        """Return both roles of Storage Commitment as the peer proposes them (PS3.7 D.3.3.4, PS3.4 J.3.3).

        An archive that calls back to report is the provider on an association that it asks for. Any other
        class keeps the usual roles, which is what no answer means.
        """
        return [
            item
            for item in self.primitive.user_information
            if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid == PUSH_MODEL
        ]


def _judge(proposed: PresentationContext, takes: Takes) -> PresentationContext:
    """Return the answer to one presentation context: a known object comes in its sender's first choice."""
    result = PresentationContext()
    result.context_id = proposed.context_id
    result.abstract_syntax = proposed.abstract_syntax
    commitment = proposed.abstract_syntax == PUSH_MODEL
    known = [
        syntax
        for syntax in proposed.transfer_syntax
        if (syntax in COMMITMENT_ENCODINGS if commitment else is_file_encoding(syntax))
    ]
    if not commitment and proposed.abstract_syntax != VERIFICATION and not takes(str(proposed.abstract_syntax)):
        result.result = _ABSTRACT_SYNTAX_NOT_SUPPORTED
    else:
        result.result = _ACCEPTED if known else _TRANSFER_SYNTAXES_NOT_SUPPORTED
    result.transfer_syntax = [(known or proposed.transfer_syntax)[0]]
    return result


def _accepted(results: Iterable[PresentationContext]) -> dict[int, Context]:
    return {
        cast(int, result.context_id): Context(str(result.abstract_syntax), str(result.transfer_syntax[0]))
        for result in results
        if result.result == _ACCEPTED
    }


def _user_information(
    maximum_pdu: int,
) -> list[MaximumLengthNotification | ImplementationClassUIDNotification | ImplementationVersionNameNotification]:
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = maximum_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION
    return [maximum, implementation, version]
