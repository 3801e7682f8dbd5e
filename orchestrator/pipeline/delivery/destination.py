"""A destination of results: its archive, what it gets, when, and how it confirms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.dicom import WriteOptions
from orchestrator.dicom.objects.write_options import distinct
from orchestrator.domain.errors import ArchiveUnavailable, Unconfirmed
from orchestrator.domain.hours import Hours
from orchestrator.domain.ports import Archive, Committing, ObjectReference
from orchestrator.domain.records import ObjectRecord


@dataclass(frozen=True, slots=True)
class Destination:
    """An archive that gets results.

    ask: whether the archive is asked for the study before sending; False is an explicit setting.
    needs_sources: False for a folder, which gets results also where it holds no image of the series.
    confirm: ``readback``, ``commitment``, or ``none`` (the delivery is then recorded as "sent, unconfirmed").
    options: which objects it gets, and how they are encoded. hours: when it gets results that can wait; None: always.
    per_minute: the most results in a minute; None: no limit.
    """

    name: str
    archive: Archive
    ask: bool = True
    needs_sources: bool = True
    confirm: str = "readback"
    retry_hours: float = 72.0
    options: WriteOptions = field(default_factory=WriteOptions)
    hours: Hours | None = None
    per_minute: int | None = None

    def gets(self, objects: Sequence[ObjectRecord]) -> tuple[ObjectRecord, ...]:
        """Return the objects of a result that this destination gets."""
        return tuple(filter(self.options.takes, objects))

    def holds(self, references: Sequence[ObjectReference]) -> bool:
        """Return whether the archive holds all of these already; False where it is not asked.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        return self.ask and self.confirm != "none" and not self.archive.missing(references)

    def unconfirmed(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive took but does not confirm.

        Raises Unconfirmed where it has not answered yet; ArchiveUnavailable, ArchiveRefused.
        """
        if self.confirm == "readback":
            return self.archive.missing(references)
        if self.confirm == "commitment" and isinstance(self.archive, Committing):
            try:
                return self.archive.uncommitted(references)
            except ArchiveUnavailable as fault:
                raise Unconfirmed(
                    f"{self.name} has not committed itself to {len(references)} object(s) yet: {fault}"
                ) from None
        return frozenset()


def reference(item: ObjectRecord) -> ObjectReference:
    """Return the reference by which an archive is asked for an object."""
    return ObjectReference(item.study_uid, item.series_uid, item.sop_uid, item.sop_class)


def write_options_of(destinations: Iterable[Destination]) -> tuple[WriteOptions, ...]:
    """Return the distinct write options of the destinations; the default ones where there is no destination."""
    return distinct(each.options for each in destinations) or (WriteOptions(),)
