"""Queries by C-FIND in the Study Root model (PS3.4 C.6.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from orchestrator.archive.dimse.peer import CANCELLED, PENDING, SUCCESS, Peer
from orchestrator.archive.query.matching import matches, values
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import Headers, HeaderValue

FIND = StudyRootQueryRetrieveInformationModelFind
PROPOSED = tuple(map(str, build_context(FIND).transfer_syntax))
"""Transfer syntaxes that this host proposes for messages without pixels."""
MOST_ANSWERS = 10_000
"""Most answers to one query: enough for a day of a large hospital, or the largest series."""

_NO_HEADERS = frozenset({"SQ", "OB", "OW", "OD", "OF", "OL", "OV", "UN", "AT"})


@dataclass(frozen=True, slots=True)
class QuerySession:
    """An association for queries, one after the other."""

    peer: Peer
    association: Association

    def query(self, level: str, query: Dataset) -> Iterator[Dataset]:
        """Yield the answers of the archive, without checking that they match. level: STUDY, SERIES or IMAGE.

        Raises ArchiveUnavailable, ArchiveRefused (the archive refuses the query; too many answers).
        """
        query.QueryRetrieveLevel = level
        count = 0
        for answer, identifier in self.association.send_c_find(query, FIND):
            status = self.peer.status(answer, "C-FIND")
            if status in PENDING and identifier is not None:
                count += 1
                if count > MOST_ANSWERS:
                    raise ArchiveRefused(
                        f"{self.peer} sends more than {MOST_ANSWERS} answers: query fewer days at once"
                    )
                yield identifier
            else:
                self._check(status, level, count)

    def headers(self, level: str, keywords: Iterable[str], query: Mapping[str, str]) -> Iterator[Headers]:
        """Yield the headers of the answers that match the query. keywords: further return keys.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        for answer in self.query(level, identifier_of({**dict.fromkeys(keywords, ""), **query})):
            headers = headers_of(answer)
            if matches(query, headers):
                yield headers

    def images(self, study_uid: str, series_uid: str) -> Iterator[Headers]:
        """Yield SOP Instance UID and SOP Class UID of the images of a series, where the archive sends them.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        query = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        return self.headers("IMAGE", ("SOPInstanceUID", "SOPClassUID"), query)

    def _check(self, status: int, level: str, count: int) -> None:
        if status in PENDING:
            raise ArchiveRefused(f"{self.peer} answers a C-FIND on level {level} without a valid data set")
        if status >> 8 == 0xA7:
            raise ArchiveUnavailable(f"{self.peer} is out of resources for a C-FIND ({status:04X}H)")
        if status == CANCELLED:
            raise ArchiveRefused(
                f"{self.peer} cancelled a C-FIND on level {level} after {count} answers: "
                "raise the archive's limit of answers, or query fewer days at once"
            )
        if status != SUCCESS:
            raise ArchiveRefused(f"{self.peer} answers a C-FIND on level {level} with {status:04X}H")


@contextmanager
def open_queries(peer: Peer) -> Iterator[QuerySession]:
    """Yield an association for queries.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    with peer.association([build_context(FIND)], "C-FIND") as association:
        yield QuerySession(peer, association)


def identifier_of(query: Mapping[str, str]) -> Dataset:
    """Return the query as a data set; text beyond ASCII is sent as UTF-8."""
    identifier = Dataset()
    with quiet():
        for keyword, value in query.items():
            setattr(identifier, keyword, value)
    if not "".join(query.values()).isascii():
        identifier.SpecificCharacterSet = "ISO_IR 192"
    return identifier


def headers_of(answer: Dataset) -> Headers:
    """Return keyword -> values of an answer, decoded by the character set that the answer names.

    Bytes that cannot be decoded become U+FFFD; values that the VR does not allow are left out.
    """
    headers: dict[str, tuple[HeaderValue, ...]] = {}
    with quiet():
        for tag in list(answer.keys()):
            keyword = keyword_for_tag(tag)
            if keyword and (texts := _texts(answer, keyword)) and (items := values(keyword, texts)):
                headers[keyword] = items
    return headers


def _texts(answer: Dataset, keyword: str) -> Sequence[object]:
    try:
        element = answer[keyword]
        if element.VR in _NO_HEADERS or element.is_empty:
            return ()
        items = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    except Exception:  # noqa: BLE001  # pydicom raises anything at all on a value that its VR does not allow
        return ()
    return [item for item in items if item not in (None, "")]
