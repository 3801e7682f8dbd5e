"""``orchestrator run``: processes every series of a folder once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.app.batch.outcome import Outcome, outcomes, with_fault
from orchestrator.app.installation import host as hosting
from orchestrator.archive import FolderArchive, connect
from orchestrator.config import Settings
from orchestrator.database import database_faults
from orchestrator.dicom import one_per_uid, read_instance, unreadable_instance
from orchestrator.domain.errors import PluginError, UnreadableFile, UserError
from orchestrator.domain.images import LeftOut
from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination

STATE_FOLDER = ".orchestrator"
REASON = "a run processes a folder once, without waiting for more images"
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be read, and why."""

    path: Path
    reason: str

    @property
    def fault(self) -> str:
        """The reason without the name of the file, which may be a patient's."""
        return self.reason.removeprefix(self.path.name).strip()


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run."""

    series: int
    ended: int
    jobs: int
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunReport:
    """The outcomes of a folder."""

    outcomes: tuple[Outcome, ...]
    unread: tuple[Unread, ...]
    seconds: float

    @property
    def failed(self) -> bool:
        """True if an outcome is ``failed``; the command then exits with status 1."""
        return any(item.outcome == JobState.FAILED for item in self.outcomes)


@dataclass(slots=True)
class Folder:
    """The instances of a folder by series, and its unreadable files.

    faults: Series Instance UID -> why its first unreadable file cannot be read.
    """

    series: dict[str, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    unread: list[Unread] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def settings_for(output: Path, base: Settings) -> Settings:
    """Return the settings of a run: its own ledger below OUTPUT, results into OUTPUT, no receiver."""
    state = output.resolve() / STATE_FOLDER
    data = base.data.model_copy(update={"folder": state, "database": f"sqlite:///{state / 'ledger.db'}"})
    return base.model_copy(update={"data": data, "archives": (), "destinations": ()})


def with_folders(base: Settings, *, rules: Path | None, models: Sequence[Path], plugins: Sequence[Path]) -> Settings:
    """Return the settings with this rules file and these additional folders of models and plugins.

    Raises UserError if a file or folder does not exist.
    """
    for path in (*([rules] if rules else []), *models, *plugins):
        if not path.exists():
            raise UserError(f"there is no {path}")
    sources = base.models.model_copy(
        update={"folders": (*base.models.folders, *models), "plugins": (*base.models.plugins, *plugins)}
    )
    routing = base.rules.model_copy(update={"file": rules or base.rules.file})
    return base.model_copy(update={"models": sources, "rules": routing})


def read_folder(folder: Path) -> Folder:
    """Return every instance below a folder; a file that is broken or not DICOM is listed as unread.

    A broken file is an instance of its series too, left out, where its UIDs can be read.

    Raises UserError if it is not a folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}" + ("; it is a file" if folder.exists() else ""))
    contents = Folder()
    archive = FolderArchive("input", folder)
    with ThreadPoolExecutor(2, "headers") as pool:
        for item, unread in pool.map(_read, archive.files()):
            if item is not None:
                contents.series[item.series_uid].append(item)
            if unread is not None:
                contents.unread.append(unread)
                if item is not None:
                    contents.faults.setdefault(item.series_uid, unread.fault)
    return contents


def run(
    source: Path, output: Path, settings: Settings, *, progress: Callable[[Progress], None] = lambda _: None
) -> RunReport:
    """Process every series in ``source`` and return the outcomes; results lie below ``output``.

    A second run on the same input repeats no work and returns the same report.
    """
    start = time.perf_counter()
    folder = read_folder(source)
    _make(output)
    archive = connect(output.resolve().as_uri(), name="output")
    target = Destination("output", archive, ask=False, retry_hours=0.0)  # no retries: a full disk fails at once
    with database_faults(), hosting.opened(settings_for(output, settings), {"output": target}) as host:
        failures = []
        for instances in folder.series.values():
            chosen = select_newest(instances)
            folder.unread += _superseded_files(instances, chosen)
            try:
                _take(host, chosen, str(source))
            except PluginError as fault:
                failures.append(_not_routed(chosen[0], fault))
        _wait(host, list(folder.series), progress)
        outcome_list = [
            with_fault(item, folder.faults.get(series_uid, ""))
            for series_uid in folder.series
            for item in outcomes(host.ledger, series_uid)
        ]
    return RunReport((*outcome_list, *failures), tuple(folder.unread), time.perf_counter() - start)


def _make(folder: Path) -> None:
    """Make the output folder.

    Raises UserError if that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UserError(f"{folder} cannot be created as a folder for results: {fault.strerror}") from None


def _take(host: hosting.Host, instances: Sequence[Instance], source: str) -> None:
    record = host.routing.admit(instances, source=source, host_facts={}, reason=REASON)
    host.routing.release(record.series_uid, record.revision, REASON)


def _not_routed(instance: Instance, fault: PluginError) -> Outcome:
    modality = str(instance.headers.get("Modality", ("",))[0])
    return Outcome(
        series=instance.series_uid,
        study=instance.study_uid,
        modality=modality,
        model=None,
        version="",
        rule=None,
        outcome=str(JobState.FAILED),
        reason=f"PluginError: {fault}",
    )


def _read(path: Path) -> tuple[Instance | None, Unread | None]:
    try:
        return read_instance(path), None
    except UnreadableFile as fault:
        return unreadable_instance(path), Unread(path, str(fault))


def select_newest(instances: Sequence[Instance]) -> tuple[Instance, ...]:
    """Return one instance per SOP Instance UID: of several contents the newest file, if they are one image."""
    return one_per_uid(sorted(instances, key=lambda item: (item.path.stat().st_mtime, str(item.path))))


def _superseded_files(instances: Sequence[Instance], chosen: Sequence[Instance]) -> list[Unread]:
    """Return the files whose content differs from a newer file with the same UID.

    Of a UID that different images share no file counts: the outcome of the series names the UID.
    """
    counts = {instance.sop_uid: instance for instance in chosen}
    return [
        Unread(item.path, f"{item.path.name} holds other content than {counts[item.sop_uid].path.name}, which is newer")
        for item in instances
        if item.digest != counts[item.sop_uid].digest and counts[item.sop_uid].left_out is not LeftOut.SHARED_UID
    ]


def _wait(host: hosting.Host, series: Sequence[str], progress: Callable[[Progress], None]) -> None:
    """Wait until every job of these series has ended."""
    while True:
        state = progress_of(host.ledger, series)
        progress(state)
        if state.ended == state.jobs:
            return
        time.sleep(POLL_SECONDS)


def progress_of(ledger: Ledger, series: Sequence[str]) -> Progress:
    """Return the progress of the jobs of these series."""
    jobs = [job for series_uid in series for job in ledger.jobs.search(series_uid=series_uid)]
    running = tuple(job.model for job in jobs if job.state is JobState.RUNNING)
    return Progress(len(series), sum(job.state in ENDED for job in jobs), len(jobs), running)
