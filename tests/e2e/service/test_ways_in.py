"""The service takes images by each of its ways, and a result comes of them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from orchestrator.archive.http.multipart import MultipartBody
from tests.data.faults import ct
from tests.data.models import rule
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


def test_images_by_tls_to_a_second_ae_title_become_a_result(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    ours, ct1, port = authority.issue("host"), authority.issue("ct1"), free_port()
    secured = (
        f'[receiver_tls]\nenabled = true\nport = {port}\ncertificate_file = "{ours.certificate}"\n'
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
