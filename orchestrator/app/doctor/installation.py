"""``orchestrator doctor``: what is not right yet, and what to do about it."""

from __future__ import annotations

import shutil
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.app.doctor.certificates import own_certificates
from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.installation.connections import connected, is_read_in_place, load_plugins, start_workers
from orchestrator.app.installation.ledger import destinations_away, notes_in_words
from orchestrator.app.installation.paths import pending_reports_of
from orchestrator.app.service.receiver import credentials_of
from orchestrator.config import ArchiveSettings, RemoteSettings, Settings
from orchestrator.domain.errors import OrchestratorError, SettingsError
from orchestrator.domain.fetching import WATCHING, FetchState
from orchestrator.domain.records import DeliveryState
from orchestrator.hooks import HostPlugins
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching import utc_now
from orchestrator.rules import RulesFile
from orchestrator.worker import Device, Workers, cage_layers, check_ready, onnx_runs_on_gpus, weights_folder

LONGEST_BETWEEN_LOOKS = timedelta(minutes=5)
USUAL_FOR_A_REPORT = timedelta(minutes=15)
CAGE_LAYERS = frozenset({"files", "network", "signals", "seccomp"})


def examine(settings: Settings) -> Iterator[Check]:
    """Yield one check after the other; none of them changes anything but an empty ledger."""
    yield _disk(settings)
    yield _tried("ledger", lambda: _ledger(settings), "see [data] database in the settings")
    yield _cage(settings)
    with closing(start_workers(settings)) as workers:
        yield from map(_device, workers.devices)
        yield from _models(workers, settings)
        plugins = load_plugins(workers)
        yield _rules(settings, workers, plugins)
    yield from _ports(settings)
    yield from own_certificates(settings)
    yield from owed_checks(settings)
    for item in (*settings.archives, *settings.destinations):
        yield _archive(item, plugins, settings)
    if settings.web.viewer is not None:
        yield viewer_check(settings, settings.web.viewer)
    yield from _watches(settings, plugins)
    yield from _deliveries(settings)
    if not settings.destinations:
        yield Check(
            "destinations", Health.WARNING, "none", "results stay in the outbox; add [[destination]] to the settings"
        )


def _disk(settings: Settings) -> Check:
    folder = next(path for path in (settings.data.folder, *settings.data.folder.parents) if path.exists())
    free = shutil.disk_usage(folder).free >> 20
    enough = free >= settings.receiver.minimum_free_mb
    advice = "" if enough else "the receiver refuses images (A700) until space is made"
    return Check("disk", Health.GOOD if enough else Health.BAD, f"{free:,} MB free for {settings.data.folder}", advice)


def viewer_check(settings: Settings, folder: Path) -> Check:
    """Return whether OHIF can work: its folder, and the archive that it is to show."""
    from orchestrator.app.service import ohif  # and with it the web, which only few doctors need

    advice = "see [web] viewer and viewer_archive; an Orthanc needs its DICOMweb plugin"
    return _tried("viewer", lambda: ohif.answers(settings, folder), advice)


def _tried(name: str, look: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, Health.GOOD, look())
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault), advice)


def _ledger(settings: Settings) -> str:
    with closing(Ledger.open(settings.data.database)) as ledger:
        counts = {state: count for state, count in ledger.jobs.count().items() if count}
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs yet"


def _deliveries(settings: Settings) -> Iterator[Check]:
    """Yield a check for each destination that deliveries find away, whatever it answers to us now."""
    with suppress(OrchestratorError, OSError), closing(Ledger.open(settings.data.database)) as ledger:
        for name, said in destinations_away(ledger).items():
            yield Check(
                f"deliveries to {name}", Health.WARNING, said, "one result at a time tries it, every few minutes"
            )
        if found := notes_in_words(ledger):
            parked = ledger.withdrawals.count_notes()[DeliveryState.PARKED]
            advice = "orchestrator events --kind note.parked names the jobs; then: orchestrator jobs retry KEY"
            yield Check("rejection notes", Health.BAD if parked else Health.GOOD, found, advice if parked else "")


def _rules(settings: Settings, workers: Workers, plugins: HostPlugins) -> Check:
    """Return whether the service would take the rules: they may name its models and the facts of its plugins only."""

    def count() -> str:
        rules = RulesFile(settings.rules.file, models=workers.models(), extra_facts=plugins.facts)
        return f"{len(rules.current().rules)} rules without a fault"

    return _tried("rules", count, "orchestrator rules check shows each fault with its line")


def _cage(settings: Settings) -> Check:
    layers = cage_layers()
    missing = sorted(CAGE_LAYERS - layers)
    found = f"{', '.join(sorted(layers)) or 'none'} (sandbox = {settings.worker.sandbox!r})"
    advice = f"missing: {', '.join(missing)}; Linux 6.12 and libseccomp2 give models the full cage" if missing else ""
    return Check("worker cage", Health.WARNING if missing else Health.GOOD, found, advice)


def _device(device: Device) -> Check:
    name, found = f"device {device.name}", f"{device.memory_mb:,} MB for models {device.product}".rstrip()
    if device.is_gpu and not onnx_runs_on_gpus():
        return Check(
            name,
            Health.WARNING,
            f"{found}; the onnxruntime of this host cannot use it",
            "install onnxruntime-gpu in place of onnxruntime; models with an environment of their own bring theirs",
        )
    return Check(name, Health.GOOD, found)


def _models(workers: Workers, settings: Settings) -> Iterator[Check]:
    for listing in workers.listing():
        if listing.error:
            yield Check(f"plugin {listing.name}", Health.BAD, listing.error, f"it came from {listing.origin}")
    for name, model in workers.models().items():
        try:
            workers.check_device(name)
            check_ready(workers.catalogue_entry(name).source)
            weights_folder(workers.catalogue_entry(name), settings.models.weights)
        except OrchestratorError as fault:
            yield Check(f"model {name}", Health.WARNING, str(fault))
        else:
            yield Check(f"model {name}", Health.GOOD, f"{model.version}, {model.runtime}")


def _ports(settings: Settings) -> Iterator[Check]:
    told, tls = settings.receiver, settings.receiver_tls
    if not (tls.enabled and tls.only):
        yield _port("receiver", settings, told.port)
    if tls.enabled:
        try:
            credentials_of(settings)
        except SettingsError as fault:
            yield Check("receiver TLS", Health.BAD, str(fault), "see [receiver_tls] in the settings")
        else:
            yield _port("receiver TLS", settings, tls.port)


def _port(name: str, settings: Settings, port: int) -> Check:
    told = settings.receiver
    with socket.socket() as probe:
        probe.settimeout(1.0)
        listening = probe.connect_ex((told.host, port)) == 0
    found = f"{told.ae_title} at {told.host}:{port} " + ("listens" if listening else "does not listen")
    return Check(name, Health.GOOD if listening else Health.WARNING, found, "" if listening else "orchestrator serve")


def owed_checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each sender that has waited for a report of storage commitment for long."""
    owed = defaultdict[str, list[datetime]](list)
    for asked in pending_reports_of(settings).read_all():
        owed[asked.requester].append(datetime.fromtimestamp(asked.requested_at).astimezone())
    for requester, since in owed.items():
        if utc_now() - since[0] > USUAL_FOR_A_REPORT:
            found = f"reports owed: {len(since)}, the oldest since {since[0]:%Y-%m-%d %H:%M}"
            advice = (
                f"it is tried every ten minutes; see host and port of [[sender]] {requester}, and the receiver's log"
            )
            yield Check(f"storage commitment for {requester}", Health.WARNING, found, advice)


def _archive(item: RemoteSettings, plugins: HostPlugins, settings: Settings) -> Check:
    name = f"archive {item.name}"
    try:
        seconds = connected(item, plugins, settings).echo()
    except OrchestratorError as fault:
        return Check(name, Health.BAD, str(fault), "check address, AE titles and that it knows this host")
    return Check(name, Health.GOOD, f"answered in {seconds * 1000:.0f} ms; more: doctor --archive {item.name}")


def _watches(settings: Settings, plugins: HostPlugins) -> Iterator[Check]:
    """Yield the state of each watch; the engine watches folders and keeps no record of it."""
    for item in settings.archives:
        if item.watch and not _is_folder(item, plugins, settings):
            yield watch_check(item, settings)
    yield from abandoned_checks(settings)


def _is_folder(item: ArchiveSettings, plugins: HostPlugins, settings: Settings) -> bool:
    try:
        return is_read_in_place(connected(item, plugins, settings))
    except OrchestratorError:  # a wrong address has a check of its own
        return False


def abandoned_checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each archive that is not watched any more and of which series are half here."""
    watched = {item.name for item in settings.archives if item.watch}
    with suppress(OrchestratorError, OSError), closing(Ledger.open(settings.data.database)) as ledger:
        for name, count in ledger.fetches.partial().items():
            if name not in watched:
                yield Check(
                    f"fetches from {name}",
                    Health.WARNING,
                    f"{count} series came in part only, so no model runs on them, and nobody fetches the rest",
                    f"write watch = true for {name} again, or send these series to the receiver",
                )


def watch_check(item: ArchiveSettings, settings: Settings) -> Check:
    """Return how the watch of an archive stands, as the watcher put it down."""
    name = f"watch of {item.name}"
    try:
        with closing(Ledger.open(settings.data.database)) as ledger:
            watch, counts = ledger.watches.get(item.name), ledger.fetches.count(item.name)
            waiting = ledger.fetches.search(item.name, WATCHING, FetchState.WAITING)
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault), "see [data] database in the settings")
    if watch.waits_since is not None:
        found = f"waits since {watch.waits_since.astimezone():%Y-%m-%d %H:%M}: {watch.error}"
        return Check(name, Health.BAD, found, "it goes on by itself and misses nothing, once that is put right")
    if watch.looked_at is None or utc_now() - watch.looked_at > LONGEST_BETWEEN_LOOKS:
        last = "never" if watch.looked_at is None else f"{watch.looked_at.astimezone():%Y-%m-%d %H:%M}"
        return Check(name, Health.WARNING, f"last look: {last}", "orchestrator serve")
    refused = [fetch for fetch in waiting if fetch.error]
    if refused:
        found = f"{len(refused)} series are not handed out, such as {refused[0].series_uid}: {refused[0].error}"
        return Check(
            name,
            Health.WARNING,
            found,
            "they are tried again, up to an hour apart: orchestrator events --kind fetch-refused",
        )
    told = {state: counts[state] for state in (FetchState.FETCHED, FetchState.WAITING, FetchState.UNWANTED)}
    return Check(name, Health.GOOD, "series " + ", ".join(f"{state} {count:,}" for state, count in told.items()))
