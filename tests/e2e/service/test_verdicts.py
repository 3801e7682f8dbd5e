"""What a radiologist leaves in a real archive, or sends, is the review of the result; a kill changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from orchestrator.domain.records import ObjectKind, ReviewRecord
from orchestrator.domain.review import ReviewState
from tests.data.models import rule
from tests.data.series import ct_series
from tests.parts.archive.dcmtk import free_port, storescu
from tests.parts.archive.orthanc import Orthanc, orthanc
from tests.parts.certificates import Authority
from tests.parts.dicom.reading import edited, rejected, saved, verified
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)


def of_today(paths: list[Path]) -> list[Path]:
    """Return the files with the study date of today: an archive is asked by C-FIND for recent studies only."""
    for path in paths:
        dataset = dcmread(path)
        dataset.ImagesInAcquisition, dataset.AcquisitionNumber = len(paths), 1
        dataset.StudyDate = f"{date.today():%Y%m%d}"
        dataset.save_as(path)
    return paths


def reviews(host: Service) -> list[ReviewRecord]:
    (job,) = host.jobs()
    with closing(host.ledger()) as ledger:
        return list(ledger.reviews.of_job(job.key))


def reviewed(host: Service, *states: ReviewState) -> list[ReviewRecord]:
    """Return the reviews once they are these, the first one pending."""
    wanted = [ReviewState.PENDING, *states]
    wait_for(lambda: [each.state for each in reviews(host)] == wanted, f"the review has been {wanted}")
    return reviews(host)


def wrote(host: Service, kind: ObjectKind) -> Dataset:
    (job,) = host.jobs()
    with closing(host.ledger()) as ledger:
        return dcmread(next(item.path for item in ledger.objects.of_job(job.key) if item.kind is kind))


def push(host: Service, *paths: Path, calling: str) -> None:
    assert storescu(host.port, paths, "-R", calling=calling).returncode == 0


class Reader:
    """A workstation whose verdicts count: it shows its certificate."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        ours, mine, self._port = authority.issue("host"), authority.issue("reader"), free_port()
        self.settings = (
            f"[receiver_tls]\nenabled = true\nonly = false\nport = {self._port}\n"
            f'certificate_file = "{ours.certificate}"\nkey_file = "{ours.key}"\nca_file = "{authority.certificate}"\n\n'
            '[[sender]]\nae_title = "READER"\ncertificate = "reader"\nverdicts = true\n\n'
        )
        self._shown = ("+tls", str(mine.key), str(mine.certificate), "+cf", str(authority.certificate))

    def push(self, *paths: Path) -> None:
        assert storescu(self._port, paths, "-R", *self._shown, calling="READER").returncode == 0


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": 1}
    with orthanc(tmp_path / "orthanc", DicomAet="ORTHANC", DicomModalities={"ours": ours}, StableAge=1) as peer:
        yield peer


@pytest.mark.parametrize("by", ["orthanc", "dimse"])
def test_what_is_left_in_a_watched_archive_is_the_review(tmp_path: Path, archive: Orthanc, by: str) -> None:
    (tmp_path / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT"))
    url = archive.url if by == "orthanc" else f"dimse://ORTHANC@127.0.0.1:{archive.dicom_port}"
    looks = "watch = true\nverdicts = true\nlook_seconds = 0.2\nquiet_seconds = 4"
    watched = f'[[archive]]\nname = "pacs"\nurl = "{url}"\n{looks}\n\n'
    rest = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n{watched}{destination(url)}'
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        with closing(host.ledger()) as ledger:
            wait_for(lambda: ledger.watches.get("pacs").cursor, "the archive is looked at")
        sources = of_today(ct_series(tmp_path / "ct", slices=10))
        archive.put(sources)
        host.job_ends()
        seg, sr = wrote(host, ObjectKind.SEG), wrote(host, ObjectKind.SR)
        label, shape = seg.SegmentSequence[0].SegmentLabel, (len(sources), seg.Rows, seg.Columns)
        archive.put([saved(edited(sources, {label: np.ones(shape, bool)}, seg), tmp_path / "left")])
        corrected = reviewed(host, ReviewState.CORRECTED)[-1]
        archive.put([saved(verified(sr, change=2.0), tmp_path / "left")])
        verdict = reviewed(host, ReviewState.CORRECTED, ReviewState.CORRECTED)[-1]
        archive.put([saved(rejected([seg, sr], by="Lee^Ann"), tmp_path / "left")])
        last = reviewed(host, ReviewState.CORRECTED, ReviewState.CORRECTED, ReviewState.REJECTED)[-1]
    assert (corrected.source, corrected.by) == ("pacs", "")
    assert 0 < corrected.agreement[label] < 1
    assert (verdict.by, len(verdict.changes)) == ("Ada Okafor", 1)
    assert (last.by, last.reason) == ("Ann Lee", "Rejected for Quality Reasons (113001, DCM)")


def test_a_pushed_verdict_is_taken_once_whatever_is_killed(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT"))
    (tmp_path / "results").mkdir()
    reader = Reader(tmp_path / "certificates")
    results = destination((tmp_path / "results").as_uri(), ask=False, confirm="none")
    rest = f'[rules]\nfile = "{tmp_path / "rules.toml"}"\n\n{reader.settings}{results}'
    with service(tmp_path / "host", rest=rest) as host:
        host.start()
        host.ready()
        push(host, *ct_series(tmp_path / "ct", slices=10), calling="CT1")
        host.job_ends()
        report = saved(verified(wrote(host, ObjectKind.SR)), tmp_path / "left")
        push(host, report, calling="CT1")
        with closing(host.ledger()) as ledger:
            wait_for(lambda: ledger.events.newest(kind="verdict-ignored"), "it is said why it does not count")
        reader.push(report)
        reviewed(host, ReviewState.ACCEPTED)
        note = saved(rejected([wrote(host, ObjectKind.SR)]), tmp_path / "left")
        reader.push(note)
        host.kill_all()
        host.start()
        given = reviewed(host, ReviewState.ACCEPTED, ReviewState.REJECTED)
        reader.push(report, note)
        with closing(host.ledger()) as ledger:
            series = str(dcmread(note).SeriesInstanceUID)
            wait_for(
                lambda: sum(each.kind == "series.released" for each in ledger.events.after(subject=series)) > 1, "again"
            )
        assert reviews(host) == given
    assert [each.source for each in given] == ["", "READER", "READER"]
