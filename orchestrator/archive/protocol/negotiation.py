"""Association negotiation as the acceptor (PS3.8 section 7, PS3.7 annex D)."""

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
from orchestrator.archive.protocol.pdu import Abort, ProtocolFault

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model SOP Class and its one well-known instance (PS3.4 J.3.5)."""
VERIFICATION = "1.2.840.10008.1.1"
ANNOUNCED_PDU_BYTES = 128 << 10
"""Default maximum length of the P-DATA-TF that this host receives; longer ones are not faster."""

_ACCEPTED, _ABSTRACT_SYNTAX_NOT_SUPPORTED, _TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x00, 0x03, 0x04
"""Results of one presentation context (PS3.8 table 9-18)."""


def _storage_classes() -> frozenset[str]:
    """Return every Storage SOP Class that pydicom or pynetdicom knows, including retired ones.

    Old devices send retired classes. Each of the two libraries knows new classes that the other lacks.
    """
    uids = {uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and "Storage" in name}
    services = {uid for uid in uids if not uid.startswith("1.2.840.10008.5.1.4.")}  # media, commitment
    return frozenset(uids - services) | {str(context.abstract_syntax) for context in AllStoragePresentationContexts}


STORAGE_CLASSES = _storage_classes()
_STANDARD = "1.2.840.10008."
_STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."
COMMITMENT_ENCODINGS = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

SopClassFilter = Callable[[str], bool]
"""Returns whether this host accepts objects of a SOP Class UID."""


def storage_classes(accept: Collection[str] = ("storage",)) -> SopClassFilter:
    """Return the filter of the SOP classes that this host accepts.

    accept: ``storage`` = every known Storage SOP Class. ``any`` = also those of future editions and all private
    ones. A UID = that class too. Classes that the standard defines for other services are never accepted.
    """
    additions = frozenset(accept)

    def accepts(sop_class: str) -> bool:
        if sop_class in STORAGE_CLASSES or sop_class in additions:
            return True
        return "any" in additions and (sop_class.startswith(_STANDARD_STORAGE) or not sop_class.startswith(_STANDARD))

    return accepts


def is_file_encoding(transfer_syntax: str) -> bool:
    """Return True for every standard Transfer Syntax of files, including those of future editions.

    They have one root (PS3.6 annex A). MIME and XML (.6) and real-time video (.7) have that root too and are not
    encodings of files. Private transfer syntaxes are refused: nothing could decode the file later.
    """
    root = "1.2.840.10008.1.2"
    other_uses = (f"{root}.6.", f"{root}.7.")
    return f"{transfer_syntax}.".startswith(f"{root}.") and not transfer_syntax.startswith(other_uses)


def file_encodings() -> frozenset[str]:
    """Return the standard Transfer Syntaxes of files that pydicom knows."""
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
class Acceptance:
    """The A-ASSOCIATE-AC PDU, the accepted contexts by ID, and the abstract syntaxes that this host rejects."""

    pdu: bytes
    contexts: Mapping[int, Context]
    rejected_classes: frozenset[str]


class InvalidRequest(ProtocolFault):
    """The peer sent an invalid A-ASSOCIATE-RQ. calling: its AE title, empty where that is invalid itself."""

    def __init__(self, text: str, calling: str) -> None:
        super().__init__(Abort.INVALID_PARAMETER, text)
        self.calling = calling if calling.isprintable() else ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A peer's A-ASSOCIATE-RQ. ``maximum_pdu``: the longest P-DATA-TF that the peer receives in bytes, 0 = any."""

    primitive: A_ASSOCIATE
    calling: str
    called: str
    maximum_pdu: int

    @classmethod
    def decode(cls, pdu: bytes) -> Proposal:
        """Return the proposal in a complete PDU, including the PDU header.

        Raises InvalidRequest.
        """
        called, calling = (pdu[start : start + 16].decode("latin-1").strip() for start in (10, 26))
        for role, title in (("calling", calling), ("called", called)):
            if not title.isprintable():
                bad = "NUL bytes" if "\0" in title else "control characters"
                raise InvalidRequest(f"{role} AE title has {bad}", calling)
        request = A_ASSOCIATE_RQ()
        try:
            request.decode(pdu)
            primitive = request.to_primitive()
        except Exception as fault:  # noqa: BLE001  # pynetdicom raises anything at all on a malformed PDU
            raise InvalidRequest(f"A-ASSOCIATE-RQ cannot be parsed ({type(fault).__name__})", calling) from None
        return cls(primitive, calling, called, primitive.maximum_length_received or 0)

    def answer(
        self, maximum_pdu: int = ANNOUNCED_PDU_BYTES, accepts: SopClassFilter = STORAGE_CLASSES.__contains__
    ) -> Acceptance:
        """Return the answer that accepts the association.

        maximum_pdu: the longest P-DATA-TF that this host receives, in bytes.
        """
        results = [_negotiate(context, accepts) for context in self.primitive.presentation_context_definition_list]
        accept = A_ASSOCIATE()
        accept.application_context_name = UID("1.2.840.10008.3.1.1.1")
        accept.calling_ae_title = self.primitive.calling_ae_title
        accept.called_ae_title = self.primitive.called_ae_title
        accept.result, accept.result_source = 0x00, 0x01
        accept.presentation_context_definition_results_list = results
        accept.user_information.extend([*_user_information(maximum_pdu), *self._roles()])
        rejected_classes = frozenset(
            str(each.abstract_syntax) for each in results if each.result == _ABSTRACT_SYNTAX_NOT_SUPPORTED
        )
        return Acceptance(A_ASSOCIATE_AC(accept).encode(), _accepted_contexts(results), rejected_classes)

    def _roles(self) -> list[SCP_SCU_RoleSelectionNegotiation]:
        """Return the roles of Storage Commitment as the peer proposes them (PS3.7 D.3.3.4, PS3.4 J.3.3).

        An archive that opens an association to send its report is the provider on it. All other classes have the
        default roles, for which no item is sent.
        """
        return [
            item
            for item in self.primitive.user_information
            if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid == PUSH_MODEL
        ]


def _negotiate(proposal: PresentationContext, accepts: SopClassFilter) -> PresentationContext:
    """Return the answer to one presentation context: the first transfer syntax proposed that this host supports."""
    result = PresentationContext()
    result.context_id = proposal.context_id
    result.abstract_syntax = proposal.abstract_syntax
    commitment = proposal.abstract_syntax == PUSH_MODEL
    choices = [
        syntax
        for syntax in proposal.transfer_syntax
        if (syntax in COMMITMENT_ENCODINGS if commitment else is_file_encoding(syntax))
    ]
    if not commitment and proposal.abstract_syntax != VERIFICATION and not accepts(str(proposal.abstract_syntax)):
        result.result = _ABSTRACT_SYNTAX_NOT_SUPPORTED
    else:
        result.result = _ACCEPTED if choices else _TRANSFER_SYNTAXES_NOT_SUPPORTED
    result.transfer_syntax = [(choices or proposal.transfer_syntax)[0]]
    return result


def _accepted_contexts(results: Iterable[PresentationContext]) -> dict[int, Context]:
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
