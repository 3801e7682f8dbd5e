"""Keeps images apart that conflict with those of another sender, and adds them once a person has taken them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from orchestrator.archive import RECEIVER, Arrival
from orchestrator.dicom import patient_difference
from orchestrator.domain.errors import UserError
from orchestrator.domain.images import LeftOut
from orchestrator.domain.quarantine import Conflict, QuarantinedImage, QuarantineState
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.pending_series import PendingSeries

_LONGEST_NAME = 64


def sender_of(arrival: Arrival) -> str:
    """Return who brought a file: its calling AE title, else its source; empty for a push without a name."""
    return arrival.calling or ("" if arrival.source == RECEIVER else arrival.source)


class Quarantine:
    """Decides which images are kept apart.

    may_replace: AE titles and sources whose images replace those of other senders: what this host fetches itself, and
        senders that the settings trust with it.
    ordered_by: returns the archive whose fetch brought a file, empty for a push.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        may_replace: Collection[str],
        ordered_by: Callable[[Arrival], str],
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._may_replace = frozenset(may_replace)
        self._ordered_by = ordered_by
        self._now = now

    def keeps(self, series: PendingSeries, instance: Instance, arrival: Arrival) -> bool:
        """Return whether the image is kept apart; it is in the ledger then."""
        found = _conflict(series, instance)
        if found is None or self._is_trusted(instance.sender, arrival):
            return False
        state = self._ledger.quarantine.state(series.series_uid, instance.sop_uid, instance.digest)
        if state is QuarantineState.TAKEN:
            return False
        if state is None:
            conflict, against = found
            image = QuarantinedImage(
                series_uid=series.series_uid,
                sop_uid=instance.sop_uid,
                digest=instance.digest,
                study_uid=instance.study_uid,
                path=instance.path,
                sender=instance.sender,
                against=against,
                conflict=conflict,
                at=self._now(),
            )
            self._ledger.quarantine.put(image)
        return True

    def holds(self, instance: Instance) -> bool:
        """Return whether this content was kept apart and a person has not taken it."""
        state = self._ledger.quarantine.state(instance.series_uid, instance.sop_uid, instance.digest)
        return state in {QuarantineState.WAITING, QuarantineState.REFUSED}

    def _is_trusted(self, sender: str, arrival: Arrival) -> bool:
        return bool({sender, self._ordered_by(arrival)} & self._may_replace)


def decide(ledger: Ledger, series_uid: str, sender: str, *, take: bool, by: str) -> int:
    """Take or refuse what a sender brought in conflict with another one; return how many images.

    Images that are taken replace the earlier ones: the engine makes a new revision of the series. Images that are
    refused never count. Raises UserError where nobody is named, UnknownRecord where no image waits.
    """
    by = by.strip()
    if not by or len(by) > _LONGEST_NAME:
        raise UserError(f"the decision needs the name of the person who takes it, at most {_LONGEST_NAME} characters")
    state = QuarantineState.TAKEN if take else QuarantineState.REFUSED
    return ledger.quarantine.decide(series_uid, sender, state, by=by)


def _conflict(series: PendingSeries, instance: Instance) -> tuple[Conflict, str] | None:
    """Return in what an image conflicts with another sender's, and that sender; None where it does not."""
    known = series.instances.get(instance.sop_uid)
    if known is not None:
        is_other = known.digest != instance.digest and known.left_out is not LeftOut.SHARED_UID
        return (Conflict.CONTENT, known.sender) if is_other and _differ(known, instance) else None
    for other in series.instances.values():
        if other.headers and _differ(other, instance) and patient_difference(other.headers, instance.headers):
            return Conflict.PATIENT, other.sender
    return None


def _differ(one: Instance, other: Instance) -> bool:
    return bool(one.sender and other.sender and one.sender != other.sender)
