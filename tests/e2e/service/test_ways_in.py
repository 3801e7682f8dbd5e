"""The service takes images by each of its ways, and a result comes of them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from orchestrator.archive.http.multipart import MultipartBody
from orchestrator.domain.images import ImageCount
from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.records import JobRecord
from orchestrator.testing import Phantom
from tests.data import faults
from tests.data.faults import ct
from tests.data.models import rule
from tests.e2e.service.archives import events
from tests.parts.archive.dcmtk import free_port, storescu
from tests.parts.certificates import Authority
from tests.parts.service import Service, destination, service, wait_for

pytestmark = pytest.mark.timeout(300)


def rest(folder: Path, **when: object) -> str:
    """Return settings with one rule and a folder that takes the results."""
    (folder / "rules.toml").write_text(rule("bones", "bone-volume", Modality="CT", **when))
    (folder / "results").mkdir()
    taken = destination((folder / "results").as_uri(), "results", ask=False, confirm="none")
    return f'[rules]\nfile = "{folder / "rules.toml"}"\n{taken}'


def kinds(folder: Path) -> int:
    return len(list((folder / "results").rglob("*.dcm")))


def post(host: Service, paths: list[Path]) -> httpx.Response:
    body = MultipartBody.of(paths)
    address = f"http://localhost:{host.web_port}/dicom-web/studies"
    return httpx.post(address, content=iter(body), headers=body.headers, trust_env=False, timeout=60)


def answers(host: Service) -> bool:
    try:
        return httpx.get(f"http://localhost:{host.web_port}/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_images_by_stow_rs_become_a_result(tmp_path: Path) -> None:
    with service(tmp_path / "host", web=True, rest=rest(tmp_path, Source="stow-rs")) as host:
        host.start()
        host.ready()
        wait_for(lambda: answers(host), "the pages are served")
        assert post(host, ct(tmp_path / "pushed")).status_code == 200
        (job,) = host.job_ends()
    assert (job.rule, kinds(tmp_path)) == ("bones", 2)


def test_what_arrives_and_is_not_read_is_named_in_report_events_and_jobs(tmp_path: Path) -> None:
    faults.with_a_localizer(tmp_path / "pushed" / "localizer")
    faults.with_a_nested_header(tmp_path / "pushed" / "nested")
    faults.of_one_uid(tmp_path / "pushed" / "shared")
    with service(tmp_path / "host", web=True, rest=rest(tmp_path)) as host:
        host.start()
        host.ready()
        wait_for(lambda: answers(host), "the pages are served")
        assert post(host, sorted((tmp_path / "pushed").rglob("*.dcm"))).status_code == 200
        jobs = wait_for(lambda: ended(host, 3), "three jobs end")
        left_out, shared = events(host, "images-left-out"), events(host, "uid-shared")
        assert len(events(host, "file-unreadable")) == 1
    by_series = {job.series_uid: job for job in jobs}
    refused = by_series[uid_of("shared")]
    assert (refused.state, refused.reason[:10]) == (JobState.UNSUPPORTED, "shared-uid")
    assert "1.2.3" in refused.reason
    assert ["1.2.3" in text for text in shared] == [True]
    for name, count, reason in (("localizer", "6 of 7", "localizer"), ("nested", "5 of 6", "unreadable")):
        job = by_series[uid_of(name)]
        (image,) = ImageCount.from_json(job.images or {}).left_out.items()
        assert (job.state, image[1]) == (JobState.DONE, reason)
        assert [image[0] in text for text in left_out].count(True) == 1
        assert [text for text in report_texts(tmp_path, job) if f"Read: {count} received" in text and image[0] in text]


def uid_of(name: str) -> str:
    return Phantom(seed=name).uid("series", "CT")


def ended(host: Service, count: int) -> tuple[JobRecord, ...]:
    jobs = host.jobs()
    return jobs if sum(job.state in ENDED for job in jobs) == count else ()


def report_texts(folder: Path, job: JobRecord) -> list[str]:
    """Return the texts of the SR of a job."""
    written = [dcmread(path) for path in (folder / "results").rglob("*.dcm")]
    reports = [item for item in written if item.Modality == "SR" and item.StudyInstanceUID == job.study_uid]
    return [item.TextValue for report in reports for item in report.ContentSequence if item.ValueType == "TEXT"]


def test_images_by_tls_to_a_second_ae_title_become_a_result(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    ours, ct1, port = authority.issue("host"), authority.issue("ct1"), free_port()
    secured = (
        f'[receiver_tls]\nenabled = true\nonly = false\nport = {port}\ncertificate_file = "{ours.certificate}"\n'
        f'key_file = "{ours.key}"\nca_file = "{authority.certificate}"\n'
        '[[entity]]\nae_title = "NIGHT"\nquiet_seconds = 0.5\n'
        '[[sender]]\nae_title = "CT1"\ncertificate = "ct1"\n'
    )
    shown = ("+tls", str(ct1.key), str(ct1.certificate), "+cf", str(authority.certificate))
    with service(tmp_path / "host", rest=secured + rest(tmp_path, CalledAETitle="NIGHT")) as host:
        host.start()
        host.ready()
        paths = ct(tmp_path / "pushed")
        assert storescu(host.port, paths, calling="CT1", called="NIGHT").returncode != 0  # in the clear: not CT1
        assert storescu(port, paths, *shown, calling="CT1", called="NIGHT").returncode == 0
        (job,) = host.job_ends()
    assert (job.rule, kinds(tmp_path)) == ("bones", 2)
