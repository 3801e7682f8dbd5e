"""An archive of a test's own, to watch and to read: what it holds, what it tells and how it fails, the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import Change, Changes, FoundSeries, Inbox
from orchestrator.domain.series import Headers


@dataclass(slots=True)
class ScriptedArchive:
    """Holds files by series; its cursor is the number of changes that were told.

    moves: it sends by C-MOVE; ``receive`` takes each file, as the receiver does.
    """

    name: str = "pacs"
    held: dict[str, list[Path]] = field(default_factory=dict)
    told: list[Change] = field(default_factory=list)
    page_size: int = 100
    away: Exception | None = None
    broken: dict[str, Exception] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    moves: bool = False
    receive: Callable[[Path], object] = str

    def tell(
        self, series_uid: str, paths: list[Path], *, study_uid: str = "1.2", complete: str = "", **headers: str
    ) -> None:
        """Hold these files of the series from now on, and tell that it changed."""
        self.held[series_uid] = paths
        said: Headers = {keyword: (value,) for keyword, value in headers.items()}
        self.told.append(Change(FoundSeries(study_uid, series_uid, said, len(paths)), complete))

    def changes(self, cursor: str) -> Changes:
        if self.away:
            raise self.away
        start = int(cursor or 0)
        page = self.told[start : start + self.page_size]
        return Changes(tuple(page), str(start + len(page)), more=start + len(page) < len(self.told))

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        if self.away:
            raise self.away
        days = {query.get("StudyDate")}
        for change in self.told:
            if days & {None, *change.series.headers.get("StudyDate", ())}:
                yield change.series

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        if self.away:
            raise self.away
        if series.series_uid not in self.held:
            raise ArchiveRefused(f"{series.series_uid} is not there")
        self.fetched.append(series.series_uid)
        if self.moves:
            inbox.expect_pushed()
        for number, path in enumerate(self.held[series.series_uid]):
            if number and series.series_uid in self.broken:
                raise self.broken[series.series_uid]
            if self.moves:
                self.receive(path)
            else:
                inbox.file([path.read_bytes()])
                inbox.settle()
        return len(self.held[series.series_uid])
