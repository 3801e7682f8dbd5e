"""The quarantine: images that conflict with those of another sender, and what a person decided about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.quarantine import CONFLICTS, Quarantined, QuarantinedImage, QuarantineState
from orchestrator.ledger import tables
from orchestrator.ledger.events import write_event
from orchestrator.ledger.repository import Repository, columns, records, values

_TABLE = tables.quarantine


class QuarantineRepository(Repository):
    """An image waits until a person takes or refuses it; both are final for this content."""

    def put(self, image: QuarantinedImage) -> bool:
        """Return True where the image is new; the first one of its series and sender is an event."""
        waiting = _is_waiting(image.series_uid, image.sender)
        with self._database.writing() as connection:
            is_first = connection.scalar(sa.select(sa.func.count()).select_from(_TABLE).where(waiting)) == 0
            if not insert_new(connection, _TABLE, values(image)):
                return False
            if is_first:
                text = (
                    f"{image.sender} sent {CONFLICTS[image.conflict]} as {image.against} before; a person must decide"
                )
                write_event(connection, "images-quarantined", image.series_uid, f"{text}; first {image.sop_uid}")
            return True

    def state(self, series_uid: str, sop_uid: str, digest: str) -> QuarantineState | None:
        """Return what was decided about this content, None where it was never in quarantine."""
        query = sa.select(_TABLE.c.state).where(
            _TABLE.c.series_uid == series_uid, _TABLE.c.sop_uid == sop_uid, _TABLE.c.digest == digest
        )
        with self._database.reading() as connection:
            return connection.scalar(query)

    def paths(self, series_uid: str) -> frozenset[Path]:
        """Return the files of a series that do not count."""
        query = sa.select(_TABLE.c.path).where(_TABLE.c.series_uid == series_uid)
        with self._database.reading() as connection:
            return frozenset(connection.scalars(query.where(_TABLE.c.state != QuarantineState.TAKEN)))

    def waiting(self, *, series_uid: str = "", study_uid: str = "") -> tuple[Quarantined, ...]:
        """Return what waits for a decision, the oldest first; of one series or study where it is named."""
        group = (_TABLE.c.series_uid, _TABLE.c.study_uid, _TABLE.c.sender, _TABLE.c.against, _TABLE.c.conflict)
        since = sa.func.min(_TABLE.c.at, type_=_TABLE.c.at.type).label("since")
        query = sa.select(*group, sa.func.count().label("count"), since).group_by(*group).order_by(since)
        query = query.where(_TABLE.c.state == QuarantineState.WAITING)
        if series_uid:
            query = query.where(_TABLE.c.series_uid == series_uid)
        if study_uid:
            query = query.where(_TABLE.c.study_uid == study_uid)
        with self._database.reading() as connection:
            return records(connection, Quarantined, query)

    def decide(self, series_uid: str, sender: str, state: QuarantineState, *, by: str) -> int:
        """Take or refuse the waiting images of a sender in a series; return how many.

        Raises UnknownRecord where none waits.
        """
        with self._database.writing() as connection:
            update = sa.update(_TABLE).where(_is_waiting(series_uid, sender)).values(state=state)
            count = connection.execute(update).rowcount
            if not count:
                raise UnknownRecord(f"no image from {sender} in series {series_uid} waits for a decision")
            images = "1 image" if count == 1 else f"{count} images"
            write_event(connection, f"images-{state}", series_uid, f"{images} from {sender}", by)
            return count

    def to_take_up(self) -> Sequence[QuarantinedImage]:
        """Return the images that were taken and are not in their series yet."""
        query = sa.select(*columns(QuarantinedImage, _TABLE)).order_by(_TABLE.c.series_uid, _TABLE.c.sop_uid)
        query = query.where(_TABLE.c.state == QuarantineState.TAKEN, _TABLE.c.taken_up.is_(False))
        with self._database.reading() as connection:
            return records(connection, QuarantinedImage, query)

    def take_up(self, image: QuarantinedImage) -> None:
        """Note that an image is in its series now."""
        update = sa.update(_TABLE).where(
            _TABLE.c.series_uid == image.series_uid,
            _TABLE.c.sop_uid == image.sop_uid,
            _TABLE.c.digest == image.digest,
        )
        with self._database.writing() as connection:
            connection.execute(update.values(taken_up=True))


def _is_waiting(series_uid: str, sender: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        _TABLE.c.series_uid == series_uid,
        _TABLE.c.sender == sender,
        _TABLE.c.state == QuarantineState.WAITING,
    )
