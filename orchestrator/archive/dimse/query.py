"""Questions by C-FIND in the Study Root model (PS3.4 C.6.2), their answers checked."""

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
"""Transfer syntaxes that we propose for what has no pixels."""
MOST_ANSWERS = 10_000
"""Answers that are taken for one query: a day of a large hospital, and a series of the largest studies."""

_NO_HEADERS = frozenset({"SQ", "OB", "OW", "OD", "OF", "OL", "OV", "UN", "AT"})


@dataclass(frozen=True, slots=True)
class Questions:
    """An association on which an archive is asked, one query after the other."""

    peer: Peer
    association: Association

    def ask(self, level: str, query: Dataset) -> Iterator[Dataset]:
        """Yield what the archive answers, unchecked. level: STUDY, SERIES or IMAGE.

        Raises ArchiveUnavailable, ArchiveRefused (a query that is not understood, too many answers).
        """
        query.QueryRetrieveLevel = level
        count = 0
        for answer, identifier in self.association.send_c_find(query, FIND):
            status = self.peer.status(answer, "C-FIND")
            if status in PENDING and identifier is not None:
                count += 1
                if count > MOST_ANSWERS:
                    raise ArchiveRefused(
                        f"{self.peer} answers with more than {MOST_ANSWERS}: ask for fewer days at once"
                    )
                yield identifier
            else:
                self._check(status, level, count)

    def headers(self, level: str, keywords: Iterable[str], query: Mapping[str, str]) -> Iterator[Headers]:
        """Yield the headers of the answers that are what was asked for, the query's keywords and the others given.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        for answer in self.ask(level, identifier_of({**dict.fromkeys(keywords, ""), **query})):
            headers = headers_of(answer)
            if matches(query, headers):
                yield headers

    def images(self, study_uid: str, series_uid: str) -> Iterator[Headers]:
        """Yield SOP Instance UID and SOP Class UID, as far as they are answered, of the images of a series.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        query = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        return self.headers("IMAGE", ("SOPInstanceUID", "SOPClassUID"), query)

    def _check(self, status: int, level: str, count: int) -> None:
        if status in PENDING:
            raise ArchiveRefused(f"{self.peer} answers a C-FIND on level {level} with what is no data set")
        if status >> 8 == 0xA7:
            raise ArchiveUnavailable(f"{self.peer} is out of resources for a C-FIND ({status:04X}H)")
        if status == CANCELLED:
            raise ArchiveRefused(
                f"{self.peer} broke a C-FIND on level {level} off after {count} answers: "
                "let it answer more there, or ask for fewer days at once"
            )
        if status != SUCCESS:
            raise ArchiveRefused(f"{self.peer} answers a C-FIND on level {level} with {status:04X}H")


@contextmanager
def questions(peer: Peer) -> Iterator[Questions]:
    """Yield an association for queries.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    with peer.association([build_context(FIND)], "C-FIND") as association:
        yield Questions(peer, association)


def identifier_of(query: Mapping[str, str]) -> Dataset:
    """Return the query as a data set; text beyond ASCII goes out as UTF-8."""
    identifier = Dataset()
    with quiet():
        for keyword, value in query.items():
            setattr(identifier, keyword, value)
    if not "".join(query.values()).isascii():
        identifier.SpecificCharacterSet = "ISO_IR 192"
    return identifier


def headers_of(answer: Dataset) -> Headers:
    """Return keyword -> values of an answer, its text decoded by the character set that the answer names.

    What cannot be decoded shows U+FFFD in its place; a value that its VR does not allow is left out.
    """
    headers: dict[str, tuple[HeaderValue, ...]] = {}
    with quiet():
        for tag in list(answer.keys()):
            keyword = keyword_for_tag(tag)
            if keyword and (texts := _texts(answer, keyword)) and (found := values(keyword, texts)):
                headers[keyword] = found
    return headers


def _texts(answer: Dataset, keyword: str) -> Sequence[object]:
    try:
        element = answer[keyword]
        if element.VR in _NO_HEADERS or element.is_empty:
            return ()
        held = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    except Exception:  # noqa: BLE001  # pydicom raises anything at all on a value that its VR does not allow
        return ()
    return [value for value in held if value not in (None, "")]
