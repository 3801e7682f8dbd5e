"""``orchestrator doctor --archive NAME``: what one archive does when it is tried, and what to change where."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.objects import SAMPLE_IMAGES, paced, tried, try_objects
from orchestrator.app.doctor.test_patient import TRIAL_STUDY_UID
from orchestrator.app.installation.connections import connected, load_plugins, start_workers
from orchestrator.archive import Spool, SpoolInbox
from orchestrator.config import ArchiveSettings, DestinationSettings, RemoteSettings, Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.ports import Archive, FoundSeries, Readable, Searchable, Timekeeping
from orchestrator.network.certificates import shown_certificate
from orchestrator.network.tls import TlsFiles

DAYS = 7
MOST_SERIES = 500
MOST_CLOCK_SECONDS = 60.0
RENEW_DAYS = 30


def examine_archive(name: str, settings: Settings, *, store: bool) -> Iterator[Check]:
    """Yield one check after the other of the archive or destination with this name.

    store: whether a synthetic test patient's study is sent there and read back; nothing is written otherwise.
    Raises UserError where the settings name no such archive, or it takes no test study.
    """
    item = _item(name, settings)
    with closing(start_workers(settings)) as workers:
        archive = connected(item, load_plugins(workers), settings)
    echo = _echo(archive)
    yield echo
    if echo.health is Health.BAD:
        return
    yield from _tls(item)
    if isinstance(archive, Timekeeping):
        yield _clock(archive)
    if store:
        yield from try_objects(archive, item)
    else:
        yield Check("storing", Health.WARNING, "not tried", "--store sends a synthetic patient's study there")
    yield from _questions(archive, item)


def _item(name: str, settings: Settings) -> RemoteSettings:
    """Return the destination of this name, else the archive: a destination says how objects are encoded."""
    known: dict[str, RemoteSettings] = {item.name: item for item in (*settings.archives, *settings.destinations)}
    if name not in known:
        raise UserError(f"the settings name no archive {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


def _echo(archive: Archive) -> Check:
    return tried("echo", lambda: Check("echo", Health.GOOD, f"answered in {archive.echo() * 1000:.0f} ms"))


def _tls(item: RemoteSettings) -> Iterator[Check]:
    """Yield when the certificate ends, or that there is no TLS."""
    parts = urlsplit(item.url)
    if parts.scheme == "file":
        return
    if not parts.scheme.endswith(("+tls", "+https")):
        yield Check(
            "TLS", Health.WARNING, "none: images and names go over the network as they are", "dimse+tls:// or +https://"
        )
        return
    yield tried("TLS", lambda: _certificate(item, parts.hostname or "", parts.port or 443))


def _certificate(item: RemoteSettings, host: str, port: int) -> Check:
    files = TlsFiles(ca_file=item.ca_file, certificate_file=item.certificate_file, key_file=item.key_file)
    shown = shown_certificate(host, port, files, timeout_seconds=item.timeout_seconds)
    left = (shown.expires - datetime.now(UTC)).days
    found = f"{shown.protocol}, certificate until {shown.expires:%Y-%m-%d}"
    if left < RENEW_DAYS:
        return Check("TLS", Health.WARNING, f"{found}: {left} days left", "renew it there before results have to wait")
    return Check("TLS", Health.GOOD, found)


def _clock(archive: Timekeeping) -> Check:
    def look() -> Check:
        told = archive.clock()
        if told is None:
            return Check("clock", Health.WARNING, "it does not tell the time")
        seconds = (told - datetime.now(UTC)).total_seconds()
        found = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} ours"
        if abs(seconds) > MOST_CLOCK_SECONDS:
            return Check("clock", Health.WARNING, found, "let both machines follow one time server (NTP)")
        return Check("clock", Health.GOOD, found)

    return tried("clock", look)


def _questions(archive: Archive, item: RemoteSettings) -> Iterator[Check]:
    """Yield what it answers about the last days, and what it hands out."""
    if isinstance(item, DestinationSettings) and not item.ask:
        yield Check("query", Health.WARNING, "ask = false: it is not asked, and patients are not compared")
        return
    if not isinstance(archive, Searchable):
        yield Check("query", Health.WARNING, "it cannot be searched: no backfill from it, and no watching by queries")
        return
    found: list[FoundSeries] = []
    yield tried("query", lambda: _query(archive, found))
    if not found:
        return
    yield tried("patients", lambda: _identity(archive, found[0].study_uid))
    if isinstance(archive, Readable):
        yield tried("fetch", lambda: _fetch(archive, item, found))


def _query(archive: Searchable, found: list[FoundSeries]) -> Check:
    today = date.today()
    days = f"{today - timedelta(days=DAYS):%Y%m%d}-{today:%Y%m%d}"
    found.extend(islice(archive.find({"StudyDate": days}), MOST_SERIES))
    told = f"{len(found)}{' or more' if len(found) == MOST_SERIES else ''} series of the last {DAYS} days"
    found.extend(archive.find({"StudyInstanceUID": TRIAL_STUDY_UID}))
    if not found:
        return Check("query", Health.WARNING, told, "--store sends a synthetic patient's study, which can be asked for")
    if all(series.count is None for series in found):
        return Check(
            "query",
            Health.WARNING,
            f"{told}; it does not say how many images each has",
            "let it answer NumberOfSeriesRelatedInstances, or a series that grows is seen by the quiet period alone",
        )
    return Check("query", Health.GOOD, told)


def _identity(archive: Archive, study_uid: str) -> Check:
    """Return whether patients can be compared: one that is read wrongly, or is two, is refused with its reason."""
    held = archive.identity(study_uid)
    if held is None:
        return Check(
            "patients",
            Health.BAD,
            "it lists a study that it does not find by its Study Instance UID",
            "results would wait for ever; ask its vendor about queries on study level",
        )
    missing = [
        word
        for word, value in (("ID", held.patient_id), ("name", held.patient_name), ("birth date", held.birth_date))
        if not value
    ]
    if missing:
        return Check("patients", Health.WARNING, f"a study's patient comes without {', '.join(missing)}")
    return Check("patients", Health.GOOD, "patient and study are told, in a character set that is named")


def _fetch(archive: Readable, item: RemoteSettings, found: Sequence[FoundSeries]) -> Check:
    if isinstance(item, ArchiveSettings) and item.retrieve == "move":
        return Check("fetch", Health.WARNING, "not tried: a C-MOVE would bring real images to the receiver")
    sample = _sample(found)
    if sample is None:
        return Check("fetch", Health.WARNING, "not tried: no series is known to have between 5 and 100 images")
    with TemporaryDirectory() as folder:
        inbox = SpoolInbox(Spool(Path(folder)), source="doctor", series_uid=sample.series_uid, notify=lambda _: None)
        start = time.perf_counter()
        try:
            count = archive.fetch(sample, inbox)
        finally:
            inbox.close(whole=False)  # what is left of one that broke off, before its folder goes
        seconds = (time.perf_counter() - start) / max(1, count)
    if count < (sample.count or 0):
        return Check("fetch", Health.BAD, f"it says {sample.count} images and hands out {count}", "ask its vendor why")
    return paced("fetch", count, "images", seconds)


def _sample(found: Sequence[FoundSeries]) -> FoundSeries | None:
    """Return the smallest series that is worth timing; of one that tells no counts, the test study's images."""
    counted = [series for series in found if series.count in SAMPLE_IMAGES]
    ours = [one for one in found if one.study_uid == TRIAL_STUDY_UID and one.headers.get("Modality") == ("CT",)]
    return min(counted, key=lambda one: one.count or 0, default=next(iter(ours), None))
