"""``orchestrator doctor --archive NAME``: tests one archive or destination and says what to change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from orchestrator.app.doctor.certificates import check_expiry
from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.objects import SAMPLE_IMAGES, check_pace, run_check, try_objects
from orchestrator.app.doctor.test_patient import TEST_STUDY_UID
from orchestrator.app.installation.connections import load_plugins, open_archive, start_workers
from orchestrator.archive import Spool, SpoolInbox
from orchestrator.config import ArchiveSettings, DestinationSettings, RemoteSettings, Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.ports import Archive, FoundSeries, Readable, Searchable, Timekeeping
from orchestrator.network.certificates import read_peer_certificate
from orchestrator.network.tls import TlsFiles

DAYS = 7
MOST_SERIES = 500
MOST_CLOCK_SECONDS = 60.0


def examine_archive(name: str, settings: Settings, *, store: bool) -> Iterator[Check]:
    """Yield the checks of the archive or destination with this name.

    store: send a synthetic patient's study to the archive and read it back. Otherwise nothing is written.
    Raises UserError if the settings have no archive or destination with this name.
    """
    item = _item(name, settings)
    with closing(start_workers(settings)) as workers:
        archive = open_archive(item, load_plugins(workers), settings)
    echo = _echo(archive)
    yield echo
    if echo.health is Health.BAD:
        return
    yield from _tls(item)
    if isinstance(archive, Timekeeping):
        yield run_check("clock", lambda: _check_clock(archive))
    if store:
        yield from try_objects(archive, item)
    else:
        yield Check("storing", Health.WARNING, "not tested", "add --store to send a synthetic patient's study")
    yield from _check_reading(archive, item)


def _item(name: str, settings: Settings) -> RemoteSettings:
    """Return the destination with this name, else the archive: a destination also says how objects are encoded."""
    items: dict[str, RemoteSettings] = {item.name: item for item in (*settings.archives, *settings.destinations)}
    if name not in items:
        names = ", ".join(sorted(items)) or "none"
        raise UserError(f"the settings have no archive or destination {name!r}; there are: {names}")
    return items[name]


def _echo(archive: Archive) -> Check:
    return run_check("echo", lambda: Check("echo", Health.GOOD, f"answered in {archive.echo() * 1000:.0f} ms"))


def _tls(item: RemoteSettings) -> Iterator[Check]:
    """Yield a check of the archive's certificate, or a warning that the connection is not encrypted."""
    parts = urlsplit(item.url)
    if parts.scheme == "file":
        return
    if not parts.scheme.endswith(("+tls", "+https")):
        advice = "change the url to dimse+tls:// or +https:// if the archive supports it"
        yield Check("TLS", Health.WARNING, "off: images and names cross the network unencrypted", advice)
        return
    yield run_check("TLS", lambda: _check_certificate(item, parts.hostname or "", parts.port or 443))


def _check_certificate(item: RemoteSettings, host: str, port: int) -> Check:
    files = TlsFiles(ca_file=item.ca_file, certificate_file=item.certificate_file, key_file=item.key_file)
    peer = read_peer_certificate(host, port, files, timeout_seconds=item.timeout_seconds)
    advice = f"renew the certificate on {host}; results wait once it has expired"
    return check_expiry("TLS", peer.expires, subject=f"{peer.protocol}, certificate", advice=advice)


def _check_clock(archive: Timekeeping) -> Check:
    clock = archive.clock()
    if clock is None:
        return Check("clock", Health.WARNING, "unknown: the archive does not send its time")
    seconds = (clock - datetime.now(UTC)).total_seconds()
    state = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this host"
    if abs(seconds) > MOST_CLOCK_SECONDS:
        return Check("clock", Health.WARNING, state, "synchronize both machines with one time server (NTP)")
    return Check("clock", Health.GOOD, state)


def _check_reading(archive: Archive, item: RemoteSettings) -> Iterator[Check]:
    """Yield the checks of queries, of a patient's identity and of fetching one series."""
    if isinstance(item, DestinationSettings) and not item.ask:
        state = "off (ask = false): the host does not compare patients before a delivery"
        yield Check("query", Health.WARNING, state)
        return
    if not isinstance(archive, Searchable):
        yield Check("query", Health.WARNING, "not supported: no backfill from this archive, no watching by queries")
        return
    series: list[FoundSeries] = []
    yield run_check("query", lambda: _check_query(archive, series))
    if not series:
        return
    yield run_check("patients", lambda: _check_identity(archive, series[0].study_uid))
    if isinstance(archive, Readable):
        yield run_check("fetch", lambda: _check_fetch(archive, item, series))


def _check_query(archive: Searchable, matches: list[FoundSeries]) -> Check:
    """Query the last days and add the series to ``matches``."""
    today = date.today()
    days = f"{today - timedelta(days=DAYS):%Y%m%d}-{today:%Y%m%d}"
    matches.extend(islice(archive.find({"StudyDate": days}), MOST_SERIES))
    state = f"{len(matches)}{' or more' if len(matches) == MOST_SERIES else ''} series of the last {DAYS} days"
    matches.extend(archive.find({"StudyInstanceUID": TEST_STUDY_UID}))
    if not matches:
        return Check("query", Health.WARNING, state, "add --store to send a synthetic patient's study, then query it")
    if all(series.count is None for series in matches):
        return Check(
            "query",
            Health.WARNING,
            f"{state}; the archive does not count the images of a series",
            "configure the archive to return NumberOfSeriesRelatedInstances; else only the quiet period shows that a "
            "series is complete",
        )
    return Check("query", Health.GOOD, state)


def _check_identity(archive: Archive, study_uid: str) -> Check:
    """Return whether the archive returns what the host compares before a delivery: patient ID, name, birth date."""
    identity = archive.identity(study_uid)
    if identity is None:
        return Check(
            "patients",
            Health.BAD,
            "the archive lists a study but does not find it by its Study Instance UID",
            "results would wait forever; ask the vendor about queries at study level",
        )
    values = {"ID": identity.patient_id, "name": identity.patient_name, "birth date": identity.birth_date}
    missing = [word for word, value in values.items() if not value]
    if missing:
        return Check("patients", Health.WARNING, f"the archive returns no patient {', '.join(missing)} for a study")
    return Check("patients", Health.GOOD, "the archive returns patient and study in a known character set")


def _check_fetch(archive: Readable, item: RemoteSettings, matches: Sequence[FoundSeries]) -> Check:
    if isinstance(item, ArchiveSettings) and item.retrieve == "move":
        return Check("fetch", Health.WARNING, "not tested: a C-MOVE would send real images to the receiver")
    sample = _choose_sample(matches)
    if sample is None:
        state = f"not tested: no series with {SAMPLE_IMAGES.start} to {SAMPLE_IMAGES.stop - 1} images found"
        return Check("fetch", Health.WARNING, state)
    with TemporaryDirectory() as folder:
        inbox = SpoolInbox(Spool(Path(folder)), source="doctor", series_uid=sample.series_uid, notify=lambda _: None)
        start = time.perf_counter()
        try:
            count = archive.fetch(sample, inbox)
        finally:
            inbox.close(whole=False)  # removes the rest of an incomplete fetch before the folder goes
        seconds = (time.perf_counter() - start) / max(1, count)
    if count < (sample.count or 0):
        state = f"incomplete: the archive counts {sample.count} images and sends {count}"
        return Check("fetch", Health.BAD, state, "ask the vendor why")
    return check_pace("fetch", count, "images", seconds)


def _choose_sample(matches: Sequence[FoundSeries]) -> FoundSeries | None:
    """Return the smallest series that is worth timing, else the images of the test study: not every archive counts."""
    samples = [series for series in matches if series.count in SAMPLE_IMAGES]
    test_images = [
        series for series in matches if series.study_uid == TEST_STUDY_UID and series.headers.get("Modality") == ("CT",)
    ]
    return min(samples, key=lambda series: series.count or 0, default=next(iter(test_images), None))
