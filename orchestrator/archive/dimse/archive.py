"""An archive on the DICOM network; this host is the SCU."""

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
from orchestrator.archive.dimse.query import open_queries
from orchestrator.archive.dimse.retrieve import get, move
from orchestrator.archive.dimse.search import DimseIndex, find_series
from orchestrator.archive.dimse.storing import store
from orchestrator.archive.query.changes import changes
from orchestrator.archive.query.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.query.matching import first
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import Changes, FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import StudyIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseOptions:
    """Options of one archive.

    ask: False for an archive that accepts objects and answers no queries.
    retrieve: "get", or "move" where C-GET must not be used.
    move_to: AE title of this host's receiver in the archive; empty = none.
    commitments: stores results of storage commitment; None = storage commitment is not used.
    """

    ask: bool = True
    retrieve: str = "get"
    move_to: str = ""
    commitments: Commitments | None = None


class DimseArchive:
    """Implements Archive, Searchable, Readable, Watchable and Committing of domain.ports.

    Each call opens an association.
    """

    def __init__(self, peer: Peer, options: DimseOptions | None = None) -> None:
        self._peer = peer
        self._options = options or DimseOptions()

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

        Raises ArchiveUnavailable, ArchiveRefused (several patients; the archive refuses the query).
        """
        self._check_queries_allowed()
        query = Dataset()
        for keyword in ATTRIBUTES[1:]:
            setattr(query, keyword, "")
        query.StudyInstanceUID = study_uid
        with open_queries(self._peer) as session:
            answers = [self._identity(answer) for answer in session.query("STUDY", query)]
        # an archive that does not support a key answers with all studies
        return one_patient([answer for answer in answers if answer.study_uid == study_uid], self.name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        self._check_queries_allowed()
        uids_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            uids_of[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        if not uids_of:
            return frozenset()
        with open_queries(self._peer) as session:
            absent = [
                uids - {first(answer, "SOPInstanceUID") for answer in session.images(*series)}
                for series, uids in uids_of.items()
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

        Raises ArchiveUnavailable, ArchiveRefused (an unknown keyword; too many answers).
        """
        return find_series(self._peer, query)

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Fetch the series by C-GET into the inbox, or by C-MOVE to the receiver; return the number of instances.

        A C-MOVE leaves the inbox empty: the receiver stores the images in the spool before this returns.
        Raises ArchiveUnavailable (incomplete; instances received before stay), ArchiveRefused, StorageFull, OSError.
        """
        if self._options.retrieve == "get":
            try:
                return get(self._peer, series, inbox)
            except NotOffered as refusal:
                if not self._options.move_to:
                    raise ArchiveRefused(f"{refusal}; to use C-MOVE, set move_to to an AE title of this host") from None
        inbox.expect_pushed()
        return move(self._peer, series, self._options.move_to)

    def changes(self, cursor: str) -> Changes:
        """Return the series of recent studies that are new or grew since the cursor; an empty cursor starts now.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with open_queries(self._peer) as session:
            return changes(DimseIndex(session), cursor)

    def uncommitted(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not commit to keep.

        Raises ArchiveUnavailable (also for no answer yet: a later call with the same objects finds it), ArchiveRefused.
        """
        if self._options.commitments is None:
            raise ArchiveRefused(f"{self}: this host has no folder for the results of storage commitment")
        return uncommitted(self._peer, self._options.commitments, references) if references else frozenset()

    def _check_queries_allowed(self) -> None:
        if not self._options.ask:
            raise ArchiveRefused(f"{self} must not be queried (ask = false in its settings)")

    def _identity(self, answer: Dataset) -> StudyIdentity:
        """Return the identity in the answer; refuse a name whose character set is unknown."""
        identity = study_identity(answer)
        texts = "".join((identity.patient_id, identity.patient_name, identity.accession_number))
        if not answer.get("SpecificCharacterSet") and (not texts.isascii() or "\x1b" in texts):
            raise ArchiveRefused(
                f"{self} answers for study {identity.study_uid} with text outside ASCII and names no character set, "
                "so patients cannot be compared: set the character set in the archive, or ask = false here"
            )
        return identity
