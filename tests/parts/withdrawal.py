"""Two archives in folders, and what became of a result that was superseded or retracted at each of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.archive import FolderArchive
from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.domain.records import DeliveryState, JobRecord, ObjectKind, RetractionRecord
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.records import key_of
from tests.parts.archive.post import Post

OTHER = WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)
ORDER = RetractionRecord(
    model="finder", model_version="1.0", reason="it swaps sides", by="Ada", organization="Radiology", at=Post.now
)


class TwoArchives:
    """Two archives in folders, of which each can be away."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.folders = {name: folder / name for name in ("pacs", "vna")}
        for each in self.folders.values():
            shutil.copytree(sources[0].parent, each)
        self.away: set[str] = set()
        self.settings: dict[str, dict[str, object]] = {"pacs": {}, "vna": {}}

    def __call__(self) -> dict[str, Destination]:
        return {name: self._destination(name) for name in self.folders}

    def _destination(self, name: str) -> Destination:
        folder = self.folders[name] if name not in self.away else self.folders[name].with_name(f"no {name}")
        return Destination(name, FolderArchive(name, folder), **self.settings[name])  # type: ignore[arg-type]


def retract(post: Post, *names: str) -> None:
    post.ledger.withdrawals.order(ORDER)
    for name in names:
        post.ledger.withdrawals.retract(ORDER.verdict_on(key_of(name)))


def uids(post: Post, job: JobRecord, *kinds: ObjectKind) -> set[str]:
    return {item.sop_uid for item in post.ledger.objects.of_job(job.key) if not kinds or item.kind in kinds}


def states(post: Post, job: JobRecord) -> dict[str, DeliveryState]:
    return {row.destination: row.state for row in post.ledger.withdrawals.notes(job.key)}
