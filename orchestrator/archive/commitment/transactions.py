"""Storage commitment (PS3.4 annex J): requests of this host to archives, and the results that archives report.

An archive reports minutes or hours later, often on an association to the receiver, which is another process than the
one that sent the request. So the two share a folder: ``<TransactionUID>.asked`` exists after a request was sent, and
``<TransactionUID>.json`` after the archive has reported.
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
"""The archive still processes an earlier request of this transaction (PS3.4 J.3.2.1.4, PS3.3 C.14.1.1)."""

_MAXIMUM_AGE_SECONDS = 31 * 86400.0  # longer than any delivery waits for its archive


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """The result of one transaction as the archive reports it.

    committed: SOP Instance UIDs that the archive commits to keep. failed: all others, each with its
    Failure Reason (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


def transaction_uid(archive: str, references: Sequence[ObjectReference]) -> str:
    """Return the Transaction UID for these objects in that archive; it is the same for every attempt.

    So a report that arrives between two attempts, or after a restart, matches its request.
    """
    text = "\n".join([archive, *sorted(f"{item.sop_class} {item.sop_uid}" for item in references)])
    digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8, variant 1 (RFC 9562)
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def commitment_request(transaction: str, references: Sequence[ObjectReference]) -> Dataset:
    """Return the Action Information of the N-ACTION (PS3.4 table J.3-1)."""
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_item(reference) for reference in references]
    return request


def read_result(report: Dataset) -> CommitmentResult:
    """Return the result in the Event Information of an N-EVENT-REPORT (PS3.4 table J.3-2).

    An object that the report lists both as committed and as failed counts as failed.
    Raises UnreadableFile where the report has no transaction or invalid UIDs.
    """
    try:
        transaction = str(report.TransactionUID)
        failures = {str(item.ReferencedSOPInstanceUID): _reason(item) for item in report.get("FailedSOPSequence") or ()}
        commitments = {str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence") or ()}
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"storage commitment report cannot be read ({type(fault).__name__})") from None
    if not all(map(is_uid, (transaction, *commitments, *failures))):
        raise UnreadableFile("storage commitment report has an invalid UID")
    return CommitmentResult(transaction, frozenset(commitments - failures.keys()), failures)


class Commitments:
    """The folder of open transactions and their results; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)

    def expect(self, transaction: str) -> None:
        """Record durably that the transaction is requested now; call this before the request is sent.

        Removes files that are older than any delivery. Raises OSError.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folders.make(self._folder)
        self._sweep()
        self._request_file(transaction).touch(mode=0o600)
        sync_folder(self._folder)

    def request_age(self, transaction: str) -> float | None:
        """Return the seconds since the request of the transaction, None where there was none."""
        try:
            return max(0.0, time.time() - self._request_file(transaction).stat().st_mtime)
        except FileNotFoundError:
            return None

    def record(self, result: CommitmentResult) -> bool:
        """Write the result to disk and return True; return False where the transaction was not requested.

        A result that only says "duplicate transaction" is not written: it does not answer the first request.
        Raises OSError.
        """
        if self.request_age(result.transaction_uid) is None:
            return False
        if DUPLICATE_TRANSACTION not in result.failed.values():
            content = json.dumps({"committed": sorted(result.committed), "failed": dict(result.failed)})
            write_durably(self._result_file(result.transaction_uid), content.encode())
        return True

    def result(self, transaction: str) -> CommitmentResult | None:
        """Return the result that the archive reported, None where it has not reported yet."""
        try:
            record = json.loads(self._result_file(transaction).read_bytes())
        except FileNotFoundError:
            return None
        return CommitmentResult(transaction, frozenset(record["committed"]), record["failed"])

    def forget(self, transaction: str) -> None:
        """Remove the request and its result, so that the next attempt sends a new request."""
        for path in (self._request_file(transaction), self._result_file(transaction)):
            path.unlink(missing_ok=True)

    def _request_file(self, transaction: str) -> Path:
        return self._folder / f"{transaction}.asked"

    def _result_file(self, transaction: str) -> Path:
        return self._folder / f"{transaction}.json"

    def _sweep(self) -> None:
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _MAXIMUM_AGE_SECONDS:
                    path.unlink()


def _item(reference: ObjectReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_uid
    return item


def _reason(item: Dataset) -> int:
    """Return the Failure Reason, or "processing failure" where it is absent."""
    return int(item.get("FailureReason") or 0x0110)
