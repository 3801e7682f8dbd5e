"""``orchestrator doctor``: checks an installation and says what to change."""

from __future__ import annotations

import shutil
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.app.doctor.certificates import check_own_certificates
from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.installation.connections import is_read_in_place, load_plugins, open_archive, start_workers
from orchestrator.app.installation.ledger import count_notes_in_words, describe_unreachable
from orchestrator.app.installation.paths import pending_reports_of
from orchestrator.app.service.receiver import credentials_of
from orchestrator.config import ArchiveSettings, RemoteSettings, Settings
from orchestrator.database import parse_url, sqlite_file
from orchestrator.domain.clock import utc_now
from orchestrator.domain.errors import OrchestratorError, SettingsError
from orchestrator.domain.fetching import WATCHING, FetchState
from orchestrator.domain.records import DeliveryState
from orchestrator.file_modes import is_open_to_others
from orchestrator.hooks import HostPlugins
from orchestrator.ledger import Ledger
from orchestrator.rules import RulesFile
from orchestrator.worker import Device, Workers, cage_layers, check_ready, onnx_runs_on_gpus, weights_folder

LONGEST_BETWEEN_SCANS = timedelta(minutes=5)
USUAL_REPORT_DELAY = timedelta(minutes=15)
CAGE_LAYERS = frozenset({"files", "network", "signals", "seccomp"})


def examine(settings: Settings) -> Iterator[Check]:
    """Yield all checks. They change nothing, but create the ledger if there is none."""
    yield _check_disk(settings)
    yield from check_modes(settings)
    yield _run_check("ledger", lambda: _count_jobs(settings), "check [data] database in the settings")
    yield _check_cage(settings)
    with closing(start_workers(settings)) as workers:
        yield from map(_check_device, workers.devices)
        yield from _check_models(workers, settings)
        plugins = load_plugins(workers)
        yield _check_rules(settings, workers, plugins)
    yield from _check_ports(settings)
    yield from check_own_certificates(settings)
    yield from check_pending_reports(settings)
    for item in (*settings.archives, *settings.destinations):
        yield _check_archive(item, plugins, settings)
    if settings.web.viewer is not None:
        yield check_viewer(settings, settings.web.viewer)
    yield from _check_watches(settings, plugins)
    yield from _check_deliveries(settings)
    yield from check_quarantine(settings)
    if not settings.destinations:
        state = "none: results stay in the outbox"
        yield Check("destinations", Health.WARNING, state, "add a [[destination]] to the settings")


def _check_disk(settings: Settings) -> Check:
    folder = next(path for path in (settings.data.folder, *settings.data.folder.parents) if path.exists())
    free = shutil.disk_usage(folder).free >> 20
    minimum = settings.receiver.minimum_free_mb
    enough = free >= minimum
    advice = "" if enough else f"free space: below {minimum:,} MB the receiver refuses images (A700)"
    return Check("disk", Health.GOOD if enough else Health.BAD, f"{free:,} MB free for {settings.data.folder}", advice)


def check_modes(settings: Settings) -> Iterator[Check]:
    """Yield a check of who may read the data folder, and the ledger where it is a file elsewhere."""
    folder = settings.data.folder
    database = sqlite_file(parse_url(settings.data.database))
    elsewhere = [] if database is None or database.is_relative_to(folder) else [database]
    for path in filter(Path.exists, [folder, *elsewhere]):
        if is_open_to_others(path):
            advice = f"close it: chmod -R o-rwx {path}"
            yield Check("file modes", Health.BAD, f"every account of this machine can open {path}", advice)
        else:
            yield Check("file modes", Health.GOOD, f"{path} is closed to other accounts")


def check_viewer(settings: Settings, folder: Path) -> Check:
    """Return whether the viewer OHIF is installed and its archive answers."""
    from orchestrator.app.service import ohif  # imports the web pages; only installations with a viewer need them

    advice = "check [web] viewer and viewer_archive in the settings; Orthanc needs its DICOMweb plugin"
    return _run_check("viewer", lambda: ohif.check_ohif(settings, folder), advice)


def _run_check(name: str, function: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, Health.GOOD, function())
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault), advice)


def _count_jobs(settings: Settings) -> str:
    with closing(Ledger.open(settings.data.database)) as ledger:
        counts = {state: count for state, count in ledger.jobs.count().items() if count}
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs yet"


def _check_deliveries(settings: Settings) -> Iterator[Check]:
    """Yield a check for each destination that did not answer the last delivery, and one for rejection notes."""
    with suppress(OrchestratorError, OSError), closing(Ledger.open(settings.data.database)) as ledger:
        for name, state in describe_unreachable(ledger).items():
            advice = f"test it: orchestrator doctor --archive {name}; deliveries go on when it answers"
            yield Check(f"deliveries to {name}", Health.WARNING, state, advice)
        if notes := count_notes_in_words(ledger):
            has_failed = ledger.withdrawals.count_notes()[DeliveryState.PARKED] > 0
            advice = "find the jobs: orchestrator events --kind note.parked; then: orchestrator jobs retry KEY"
            yield Check("rejection notes", Health.BAD if has_failed else Health.GOOD, notes, advice * has_failed)


def check_quarantine(settings: Settings) -> Iterator[Check]:
    """Yield a warning for each series with images that wait for a person's decision."""
    with suppress(OrchestratorError, OSError), closing(Ledger.open(settings.data.database)) as ledger:
        for waiting in ledger.quarantine.waiting():
            advice = "decide which images count: page /quarantine, or orchestrator quarantine take or refuse"
            yield Check(f"quarantine of series {waiting.series_uid}", Health.WARNING, str(waiting), advice)


def _check_rules(settings: Settings, workers: Workers, plugins: HostPlugins) -> Check:
    """Return whether the rules are valid with the models and plugins of this installation."""

    def load() -> str:
        rules = RulesFile(settings.rules.file, models=workers.models(), extra_facts=plugins.facts)
        count = len(rules.current().rules)
        return f"{count} {'rule' if count == 1 else 'rules'}, all valid"

    return _run_check("rules", load, "orchestrator rules check shows each fault with its line")


def _check_cage(settings: Settings) -> Check:
    layers = cage_layers()
    missing = sorted(CAGE_LAYERS - layers)
    state = f"{', '.join(sorted(layers)) or 'none'} (sandbox = {settings.worker.sandbox!r})"
    if missing:
        state += f"; missing: {', '.join(missing)}"
        return Check("worker cage", Health.WARNING, state, "use Linux 6.12 or later and install libseccomp2")
    return Check("worker cage", Health.GOOD, state)


def _check_device(device: Device) -> Check:
    name, state = f"device {device.name}", f"{device.memory_mb:,} MB for models {device.product}".rstrip()
    if device.is_gpu and not onnx_runs_on_gpus():
        return Check(
            name,
            Health.WARNING,
            f"{state}; not used by ONNX models: the installed onnxruntime has no GPU support",
            "install onnxruntime-gpu instead of onnxruntime; models with their own environment bring their own",
        )
    return Check(name, Health.GOOD, state)


def _check_models(workers: Workers, settings: Settings) -> Iterator[Check]:
    for listing in workers.listing():
        if listing.error:
            yield Check(f"plugin {listing.name}", Health.BAD, listing.error, f"correct or remove it: {listing.origin}")
    for name, model in workers.models().items():
        try:
            workers.check_device(name)
            check_ready(workers.catalogue_entry(name).source)
            weights_folder(workers.catalogue_entry(name), settings.models.weights)
        except OrchestratorError as fault:
            yield Check(f"model {name}", Health.WARNING, str(fault))
        else:
            yield Check(f"model {name}", Health.GOOD, f"{model.version}, {model.runtime}")


def _check_ports(settings: Settings) -> Iterator[Check]:
    tls = settings.receiver_tls
    if not tls.replaces_plain:
        yield _check_port("receiver", settings, settings.receiver.port)
    if tls.enabled:
        try:
            credentials_of(settings)
        except SettingsError as fault:
            yield Check("receiver TLS", Health.BAD, str(fault), "check [receiver_tls] in the settings")
        else:
            yield _check_port("receiver TLS", settings, tls.port)


def _check_port(name: str, settings: Settings, port: int) -> Check:
    receiver = settings.receiver
    with socket.socket() as probe:
        probe.settimeout(1.0)
        listens = probe.connect_ex((receiver.host, port)) == 0
    address = f"{receiver.ae_title} at {receiver.host}:{port}"
    if not listens:
        return Check(name, Health.WARNING, f"{address} does not listen", "start the service: orchestrator serve")
    return Check(name, Health.GOOD, f"{address} listens")


def check_pending_reports(settings: Settings) -> Iterator[Check]:
    """Yield a check for each sender whose storage commitment reports are pending for a long time."""
    times_by_sender = defaultdict[str, list[datetime]](list)
    for request in pending_reports_of(settings).read_all():
        times_by_sender[request.requester].append(datetime.fromtimestamp(request.requested_at).astimezone())
    for requester, times in times_by_sender.items():
        if utc_now() - times[0] > USUAL_REPORT_DELAY:
            state = f"{len(times)} {'report' if len(times) == 1 else 'reports'} pending, the oldest since "
            state += f"{times[0]:%Y-%m-%d %H:%M}; retried every ten minutes"
            advice = f"check host and port of [[sender]] {requester}, and the receiver's log"
            yield Check(f"storage commitment for {requester}", Health.WARNING, state, advice)


def _check_archive(item: RemoteSettings, plugins: HostPlugins, settings: Settings) -> Check:
    name = f"archive {item.name}"
    try:
        seconds = open_archive(item, plugins, settings).echo()
    except OrchestratorError as fault:
        advice = "check url and ae_title in the settings, and that the archive knows this host"
        return Check(name, Health.BAD, str(fault), advice)
    state = f"answered in {seconds * 1000:.0f} ms; for more checks: orchestrator doctor --archive {item.name}"
    return Check(name, Health.GOOD, state)


def _check_watches(settings: Settings, plugins: HostPlugins) -> Iterator[Check]:
    """Yield a check for each watched archive. A folder has none: the engine watches it without a record."""
    for item in settings.archives:
        if item.watch and not _is_folder(item, plugins, settings):
            yield check_watch(item, settings)
    yield from check_partial_fetches(settings)


def _is_folder(item: ArchiveSettings, plugins: HostPlugins, settings: Settings) -> bool:
    try:
        return is_read_in_place(open_archive(item, plugins, settings))
    except OrchestratorError:  # the check of the archive reports it
        return False


def check_partial_fetches(settings: Settings) -> Iterator[Check]:
    """Yield a check for each archive that is no longer watched and whose series arrived in part only."""
    watch_names = {item.name for item in settings.archives if item.watch}
    with suppress(OrchestratorError, OSError), closing(Ledger.open(settings.data.database)) as ledger:
        for name, count in ledger.fetches.partial().items():
            if name not in watch_names:
                yield Check(
                    f"fetches from {name}",
                    Health.WARNING,
                    f"{count} series came in part only; the archive is no longer watched, so no model runs on them",
                    f"write watch = true for {name} again, or send these series to the receiver",
                )


def check_watch(item: ArchiveSettings, settings: Settings) -> Check:
    """Return the state of a watched archive as the watcher recorded it."""
    name = f"watch of {item.name}"
    try:
        with closing(Ledger.open(settings.data.database)) as ledger:
            watch, counts = ledger.watches.get(item.name), ledger.fetches.count(item.name)
            waiting = ledger.fetches.search(item.name, WATCHING, FetchState.WAITING)
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault), "check [data] database in the settings")
    if watch.waits_since is not None:
        state = f"waits since {watch.waits_since.astimezone():%Y-%m-%d %H:%M}: {watch.error}"
        return Check(name, Health.BAD, state, "correct this; the watch then continues and misses nothing")
    if watch.looked_at is None or utc_now() - watch.looked_at > LONGEST_BETWEEN_SCANS:
        last = "never" if watch.looked_at is None else f"{watch.looked_at.astimezone():%Y-%m-%d %H:%M}"
        return Check(name, Health.WARNING, f"last scan: {last}", "start the service: orchestrator serve")
    failures = [fetch for fetch in waiting if fetch.error]
    if failures:
        first = failures[0]
        text = f"{len(failures)} series refused by the archive, for example {first.series_uid}: {first.error}"
        advice = "see the reasons: orchestrator events --kind fetch-refused; the host retries at least once an hour"
        return Check(name, Health.WARNING, text, advice)
    states = {state: counts[state] for state in (FetchState.FETCHED, FetchState.WAITING, FetchState.UNWANTED)}
    return Check(name, Health.GOOD, "series " + ", ".join(f"{state} {count:,}" for state, count in states.items()))
