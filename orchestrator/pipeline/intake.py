"""From files to series: what arrives is indexed, and complete series go to routing.

The spool folder is the truth about what was received. Notes of arrivals only make it quick: a process
that missed some, or was killed, finds them again by comparing the spool with the ledger.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.dicom import expected_count, gap_free, read_instance, states
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.fetching import FetchState
from orchestrator.domain.records import SeriesRecord, SeriesState
from orchestrator.domain.series import HeaderValue, Instance
from orchestrator.engine import describe, frames
from orchestrator.ledger import Ledger
from orchestrator.pipeline.completion import Completion, Due, Step
from orchestrator.pipeline.routing import Routing

log = logging.getLogger(__name__)

WAIT_SECONDS = 60.0
"""How long a series waits that could not be routed."""
OWN_NAME = re.compile(r"[0-9.]+-[0-9a-f]{12}")
"""What the spool calls a file: SOP Instance UID and digest."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file that was received, and by which way it came."""

    path: Path
    source: str = ""
    calling: str = ""
    called: str = ""
    association: str = ""


class Intake:
    """Follows what arrives and admits and releases series when their time has come.

    Not thread-safe: one thread feeds it and asks ``advance``.
    """

    def __init__(
        self,
        ledger: Ledger,
        routing: Routing,
        *,
        quiet_seconds: Callable[[Received], float],
        held: Callable[[str, str], Collection[Path]] = lambda _study, _series: (),
        verdict: Callable[[Instance, Received], bool] = lambda _instance, _way: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take nothing up yet.

        quiet_seconds: the silence after which a series is complete that came by this way.
        held: study, series -> the files that the spool holds of it, each instance once.
        verdict: takes up what a person may have said of a result, each SR, SEG and key object selection; False
            while it is at it: it is asked again.
        clock: seconds since 1970.
        """
        self._ledger = ledger
        self._routing = routing
        self._held = held
        self._verdict = verdict
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._completion = Completion(gap_free=gap_free, expected_count=expected_count)
        self._ways: dict[str, Received] = {}
        self._statements: dict[Path, Received] = {}  # whom to believe is a matter of each file, not of its series
        self._unreadable: set[Path] = set()
        self._admitted: dict[str, SeriesRecord] = {}
        self._waits: dict[str, float] = {}

    def received(self, file: Received) -> None:
        """Index one file; a broken one is recorded by name and stops nothing."""
        try:
            instance = read_instance(file.path)
        except UnreadableFile as fault:
            self._cannot_read(file.path, fault)
            return
        self._recall(instance.series_uid, file)
        self._ways[instance.series_uid] = file
        if states(instance):
            self._statements[file.path] = file
        reopened = self._completion.arrived(
            instance,
            now=self._clock(),
            quiet_seconds=self._quiet_seconds(file),
            association=file.association,
            sender=file.calling,
        )
        if reopened:
            self._admitted.pop(instance.series_uid, None)
            self._ledger.events.record(
                "series-reopened", instance.series_uid, "an image came after the models had started"
            )
            self._supersede(instance.series_uid)

    def closed(self, association: str, *, released: bool, sender: str, others_open: int) -> None:
        """Note the end of an association."""
        self._completion.closed(association, released=released, sender=sender, others_open=others_open)

    def announced(self, series_uid: str, count: int, reason: str) -> None:
        """Note that somebody said how many instances the series has in all."""
        self._completion.announced(series_uid, count, reason)

    def recover(self, spooled: Mapping[str, Collection[Path]], received: Callable[[Path], Received]) -> int:
        """Take up the spooled files that neither the ledger nor this process knows; return how many.

        spooled: series -> its files. received: says by which way a file came.
        """
        taken = 0
        for series_uid, paths in spooled.items():
            if self._is_settled(series_uid, set(paths)):
                continue
            for path in sorted(set(paths) - self._completion.paths(series_uid)):
                self.received(received(path))
                taken += 1
        return taken

    def advance(self) -> list[Due]:
        """Do what is due now and return it.

        Notes of arrivals may get lost, so the spool is looked at before a series is called complete: what
        was overlooked is taken in first, and the series is judged again at the next turn.
        """
        now = self._clock()
        done, changed = [], set[str]()
        steps = self._completion.due(now)
        coming = self._coming(steps)
        for due in steps:
            if due.series_uid in changed | coming or self._waits.get(due.series_uid, now) > now:
                continue
            if self._do(due):
                done.append(due)
            else:
                changed.add(due.series_uid)  # what else was due for it knew nothing of what was overlooked
        return done

    def _coming(self, steps: Collection[Due]) -> set[str]:
        """Return the series of which their archive holds more than came: half a fetch is no series.

        An archive may be away for longer than any quiet period. While a fetch is under way it does not
        matter how the images came: those of a C-MOVE come as pushed ones do.
        """
        series = {due.series_uid for due in steps}
        return {
            fetch.series_uid
            for fetch in (self._ledger.fetches.pending(series) if series else ())
            if fetch.state is FetchState.FETCHING or fetch.archive == self._way(fetch.series_uid).source
        }

    def _way(self, series_uid: str) -> Received:
        return self._ways.get(series_uid, Received(Path()))

    def _do(self, due: Due) -> bool:
        """Return whether the step was taken; a series that cannot be routed now waits, and stops no other."""
        try:
            taken = self._take(due)
        except Exception as error:  # noqa: BLE001  # a plugin that raises, a full disk, a fault of ours: told, tried again
            self._put_off(due.series_uid, error)
            return False
        self._waits.pop(due.series_uid, None)
        return taken

    def _put_off(self, series_uid: str, error: Exception) -> None:
        log.error("series %s waits %g s: %s\n%s", series_uid, WAIT_SECONDS, describe(error), frames(error))
        if series_uid not in self._waits:
            with suppress(Exception):  # where the ledger itself is the fault, the log has told
                self._ledger.events.record("series-waits", series_uid, describe(error))
        self._waits[series_uid] = self._clock() + WAIT_SECONDS

    def _take(self, due: Due) -> bool:
        held = self._held(due.instances[0].study_uid, due.series_uid)
        overlooked = set(held) - self._completion.paths(due.series_uid) - self._unreadable
        way = self._way(due.series_uid)
        for path in sorted(overlooked):
            self.received(replace(way, path=path))
        if overlooked or (due.step is Step.RELEASE and not self._has_verdicts(due)):
            return False
        # what was admitted when its models started is the same now, or it would have been reopened
        record = self._admitted.pop(due.series_uid, None) or self._admit(due)
        if due.step is Step.RELEASE:
            self._routing.release(due.series_uid, record.revision, due.reason)
            self._ways.pop(due.series_uid, None)
        else:
            self._admitted[due.series_uid] = record
        self._completion.done(due)
        return True

    def _has_verdicts(self, due: Due) -> bool:
        """Return whether all that is said in the series was taken up.

        Only then it counts as settled, so that after a kill it is taken up again. What came before this process, or
        for an earlier revision, was taken up then.
        """
        said = [instance for instance in due.instances if instance.path in self._statements]
        if not all(self._verdict(instance, self._statements[instance.path]) for instance in said):
            return False
        for path in self._completion.paths(due.series_uid):
            self._statements.pop(path, None)
        return True

    def _admit(self, due: Due) -> SeriesRecord:
        way = self._way(due.series_uid)
        facts: dict[str, tuple[HeaderValue, ...]] = {
            name: (value,)
            for name, value in (
                ("Source", way.source),
                ("CallingAETitle", way.calling),
                ("CalledAETitle", way.called),
            )
            if value
        }
        brought = self._ledger.fetches.of_series(way.source, due.series_uid)
        return self._routing.admit(
            due.instances,
            source=way.source,
            host_facts=facts,
            reason=due.reason,
            only_rule=brought.rule if brought else "",
        )

    def _recall(self, series_uid: str, late: Received) -> None:
        """Take an earlier revision in hand again, so that a late image makes a whole new one."""
        if series_uid in self._completion:
            return
        newest = self._ledger.series.find(series_uid)
        if newest is None:
            return
        rows = self._ledger.series.instances(series_uid, newest.revision)
        # files that made room for others are not there, and a fetch of an old series brings them one by one
        known = self._readable(row.path for row in rows if row.path.exists())
        quiet_seconds = self._quiet_seconds(late)
        self._completion.resumed(known, started=True, last_arrival=self._clock(), quiet_seconds=quiet_seconds)

    def _supersede(self, series_uid: str) -> None:
        newest = self._ledger.series.find(series_uid)
        if newest is not None and newest.state is not SeriesState.SUPERSEDED:
            self._routing.supersede(newest)

    def _is_settled(self, series_uid: str, paths: set[Path]) -> bool:
        newest = self._ledger.series.find(series_uid)
        if newest is None or newest.state is not SeriesState.RELEASED:
            return False
        return paths <= {row.path for row in self._ledger.series.instances(series_uid, newest.revision)}

    def _readable(self, paths: Iterable[Path]) -> list[Instance]:
        found = []
        for path in paths:
            try:
                found.append(read_instance(path))
            except UnreadableFile as fault:
                self._cannot_read(path, fault)
        return found

    def _cannot_read(self, path: Path, fault: UnreadableFile) -> None:
        """Record a broken file once: by its name in the spool, which is ours, else by a digest of its path.

        A file's name in somebody's folder may hold a patient's name.
        """
        if path in self._unreadable:
            return
        self._unreadable.add(path)
        ours = OWN_NAME.fullmatch(path.stem)
        name = path.stem if ours else f"file-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        told = str(fault).replace(path.name, name)
        log.warning("a file that came cannot be read: %s", told)
        self._ledger.events.record("file-unreadable", name, told)
