"""Storage commitment (PS3.4 annex J): what is asked of an archive, and its answers where every process finds them.

An archive answers minutes or hours later, often on an association that it opens to the receiver, which is another
process than the one that asked. So the two meet in a folder: ``<TransactionUID>.asked`` is there once somebody has
asked, ``<TransactionUID>.json`` once the archive has answered.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from orchestrator.archive.protocol.uid import is_uid
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.ports import ObjectReference
from orchestrator.durable import DurableFolders, sync_folder, write_durably

REQUEST_COMMITMENT = 1
"""Action Type ID of the N-ACTION (PS3.4 table J.3-1)."""
DUPLICATE_TRANSACTION = 0x0131
"""The archive is still at work on a request of this transaction (PS3.4 J.3.2.1.4, PS3.3 C.14.1.1)."""

_KEPT_SECONDS = 31 * 86400.0  # longer than any result waits for its archive


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an archive reports of one transaction.

    committed: SOP Instance UIDs that it keeps; failed: those that it does not, each with its
    Failure Reason (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


def transaction_uid(archive: str, references: Sequence[ObjectReference]) -> str:
    """Return the Transaction UID for these objects in that archive: the same whenever they are asked for.

    So an answer that came between two attempts, or over a restart, finds its question.
    """
    named = "\n".join([archive, *sorted(f"{item.sop_class} {item.sop_uid}" for item in references)])
    digest = bytearray(hashlib.sha256(named.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8, variant 1 (RFC 9562)
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def commitment_request(transaction: str, references: Sequence[ObjectReference]) -> Dataset:
    """Return the Action Information of the N-ACTION (PS3.4 table J.3-1)."""
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_item(reference) for reference in references]
    return request


def read_outcome(report: Dataset) -> Outcome:
    """Return what the Event Information of an N-EVENT-REPORT says (PS3.4 table J.3-2).

    An object that it names both as kept and as failed has failed.
    Raises UnreadableFile where it names no transaction, or objects by what is no UID.
    """
    try:
        transaction = str(report.TransactionUID)
        failed = {str(item.ReferencedSOPInstanceUID): _reason(item) for item in report.get("FailedSOPSequence") or ()}
        kept = {str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence") or ()}
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"the storage commitment report cannot be read ({type(fault).__name__})") from None
    if not all(map(is_uid, (transaction, *kept, *failed))):
        raise UnreadableFile("the storage commitment report names a transaction or an object by what is no UID")
    return Outcome(transaction, frozenset(kept - failed.keys()), failed)


class Commitments:
    """The folder of open questions and their answers; safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)

    def expect(self, transaction: str) -> None:
        """Return when it is durable that the transaction is asked for now; to be called before asking.

        What is older than any delivery is removed. Raises OSError.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folders.make(self._folder)
        self._sweep()
        self._asked(transaction).touch(mode=0o600)
        sync_folder(self._folder)

    def asked_seconds(self, transaction: str) -> float | None:
        """Return how many seconds ago the transaction was asked for, None where it was not."""
        try:
            return max(0.0, time.time() - self._asked(transaction).stat().st_mtime)
        except FileNotFoundError:
            return None

    def take(self, outcome: Outcome) -> bool:
        """Return True when the answer is durable, False where nobody asked for that transaction.

        That a request came twice is no answer to the first, so it is not kept. Raises OSError.
        """
        if self.asked_seconds(outcome.transaction_uid) is None:
            return False
        if DUPLICATE_TRANSACTION not in outcome.failed.values():
            content = json.dumps({"committed": sorted(outcome.committed), "failed": dict(outcome.failed)})
            write_durably(self._answer(outcome.transaction_uid), content.encode())
        return True

    def outcome(self, transaction: str) -> Outcome | None:
        """Return what the archive reported, None while it has not."""
        try:
            kept = json.loads(self._answer(transaction).read_bytes())
        except FileNotFoundError:
            return None
        return Outcome(transaction, frozenset(kept["committed"]), kept["failed"])

    def forget(self, transaction: str) -> None:
        """Remove question and answer, so that the next one asks anew."""
        for path in (self._asked(transaction), self._answer(transaction)):
            path.unlink(missing_ok=True)

    def _asked(self, transaction: str) -> Path:
        return self._folder / f"{transaction}.asked"

    def _answer(self, transaction: str) -> Path:
        return self._folder / f"{transaction}.json"

    def _sweep(self) -> None:
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()


def _item(reference: ObjectReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_uid
    return item


def _reason(item: Dataset) -> int:
    """Return the Failure Reason, a general processing failure where there is none."""
    return int(item.get("FailureReason") or 0x0110)
