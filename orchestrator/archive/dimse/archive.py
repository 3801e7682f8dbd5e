"""An archive on the DICOM network, asked and fed as a user."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.dimse.committing import uncommitted
from orchestrator.archive.dimse.peer import SUCCESS, NotOffered, Peer
from orchestrator.archive.dimse.query import questions
from orchestrator.archive.dimse.retrieve import get, move
from orchestrator.archive.dimse.search import Counted, find_series
from orchestrator.archive.dimse.storing import store
from orchestrator.archive.query.changes import changes
from orchestrator.archive.query.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.query.matching import first
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import Changes, FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import StudyIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How an archive is used, as far as that is not the same everywhere.

    ask: False for one that takes objects and answers no query.
    retrieve: "get", or "move" for an archive whose C-GET is not to be used.
    move_to: AE title of our receiver, as the archive knows it; empty where there is none.
    commitments: where it answers that it keeps what it was sent; None where nobody asks for that.
    """

    ask: bool = True
    retrieve: str = "get"
    move_to: str = ""
    commitments: Commitments | None = None


class DimseArchive:
    """Implements Archive, Searchable, Readable, Watchable and Committing of domain.ports; a call is an association."""

    def __init__(self, peer: Peer, ways: Ways | None = None) -> None:
        self._peer = peer
        self._ways = ways or Ways()

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._peer.name

    def __str__(self) -> str:
        return str(self._peer)

    def echo(self) -> float:
        """Return the seconds that the archive took to answer a C-ECHO.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.association([build_context(Verification)], "C-ECHO") as association:
            start = time.perf_counter()
            status = self._peer.status(association.send_c_echo(), "C-ECHO")
            if status != SUCCESS:
                raise ArchiveRefused(f"{self} answers a C-ECHO with {status:04X}H")
            return time.perf_counter() - start

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients; a query that is not understood).
        """
        self._check_asked()
        query = Dataset()
        for keyword in ATTRIBUTES[1:]:
            setattr(query, keyword, "")
        query.StudyInstanceUID = study_uid
        with questions(self._peer) as asked:
            answers = [self._identity(answer) for answer in asked.ask("STUDY", query)]
        # a key that an archive does not know matches everything there
        return one_patient([answer for answer in answers if answer.study_uid == study_uid], self.name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        self._check_asked()
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            wanted[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        if not wanted:
            return frozenset()
        with questions(self._peer) as asked:
            absent = [
                uids - {first(answer, "SOPInstanceUID") for answer in asked.images(*series)}
                for series, uids in wanted.items()
            ]
        return frozenset().union(*absent)

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one association and return when each was answered with success.

        A warning (BxxxH) counts as stored and is logged. Raises ArchiveUnavailable, ArchiveRefused,
        UnreadableFile.
        """
        store(self._peer, paths)

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Raises ArchiveUnavailable, ArchiveRefused (an unknown keyword; more answers than are taken).
        """
        return find_series(self._peer, query)

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Return how many instances of the series came, by C-GET into the inbox or else by C-MOVE to the receiver.

        A C-MOVE leaves the inbox empty: its images come as pushed ones do, and are in the spool when this returns.
        Raises ArchiveUnavailable (not all of them came; what came stays), ArchiveRefused, StorageFull, OSError.
        """
        if self._ways.retrieve == "get":
            try:
                return get(self._peer, series, inbox)
            except NotOffered as refusal:
                if not self._ways.move_to:
                    raise ArchiveRefused(f"{refusal}; for C-MOVE name an AE title of this host as move_to") from None
        return move(self._peer, series, self._ways.move_to)

    def changes(self, cursor: str) -> Changes:
        """Return the series of recent studies that came or grew since the cursor; an empty one begins now.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with questions(self._peer) as asked:
            return changes(Counted(asked), cursor)

    def uncommitted(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not commit itself to keep.

        Raises ArchiveUnavailable (no answer yet, too: a later call with the same objects finds it), ArchiveRefused.
        """
        if self._ways.commitments is None:
            raise ArchiveRefused(f"{self} has no place for its answers about storage commitment")
        return uncommitted(self._peer, self._ways.commitments, references) if references else frozenset()

    def _check_asked(self) -> None:
        if not self._ways.ask:
            raise ArchiveRefused(f"{self} is set not to be asked (ask = false)")

    def _identity(self, answer: Dataset) -> StudyIdentity:
        """Return who the answer speaks of; a name that could be read in two ways is not read at all."""
        identity = study_identity(answer)
        texts = "".join((identity.patient_id, identity.patient_name, identity.accession_number))
        if not answer.get("SpecificCharacterSet") and (not texts.isascii() or "\x1b" in texts):
            raise ArchiveRefused(
                f"{self} answers for study {identity.study_uid} with text outside ASCII and names no character set, "
                "so patients cannot be compared: set the character set there, or ask = false here"
            )
        return identity
