"""The one way out: what may leave, what comes back, and how much of it."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.domain.errors import EgressRefused, RemoteFailed, RemoteTimeout, RemoteUnavailable
from orchestrator.model_servers.egress import Egress, Exit, Parcel

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer, certificate: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """Give the URL of a server that answers like this, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fine(request: BaseHTTPRequestHandler) -> None:
    _reply(request, 200, b"fine")


def redirecting(request: BaseHTTPRequestHandler) -> None:
    request.send_response(307)
    request.send_header("Location", "/elsewhere")
    request.send_header("Content-Length", "0")
    request.end_headers()


def endless(request: BaseHTTPRequestHandler) -> None:
    _reply(request, 200, bytes(2 << 20))


def packed(request: BaseHTTPRequestHandler) -> None:
    _reply(request, 200, bytes(9), ("Content-Encoding", "gzip"))


def dripping(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(2000):
        request.wfile.write(b".")
        time.sleep(0.05)


def _reply(request: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    request.send_response(status)
    for name, value in (("Content-Length", str(len(body))), *headers):
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def parcel(url: str, seconds: float = 60.0) -> Parcel:
    return Parcel(
        url=f"{url}/v2", kind="inference", profile="voxels", subject="job", seconds=seconds, largest_reply=1 << 20
    )


def way(url: str, **told: object) -> Exit:
    return Exit(name="place", url=url, purpose="a test", **told)  # type: ignore[arg-type]


def nothing(*_: str) -> None:
    pass


def test_what_is_allowed_comes_back() -> None:
    with answering(fine) as (url, _):
        reply = Egress([way(url)], nothing).send(parcel(url))
    assert (reply.status, reply.body) == (200, b"fine")


def test_what_is_not_allowed_is_not_sent_and_the_setting_is_named() -> None:
    named = r'to allow them add: \[\[egress\]\] name = "\.\.\.", url = "http://'
    with answering(fine) as (url, asked), pytest.raises(EgressRefused, match=named):
        Egress([], nothing).send(parcel(url))
    assert asked == []


def test_what_cannot_be_put_on_record_stays_here() -> None:
    def full(*_: str) -> None:
        raise OSError("the disk is full")

    with answering(fine) as (url, asked), pytest.raises(OSError, match="the disk is full"):
        Egress([way(url)], full).send(parcel(url))
    assert asked == []


def test_the_way_ends_after_its_last_day() -> None:
    yesterday = date.today() - timedelta(days=1)
    with answering(fine) as (url, asked):
        with pytest.raises(EgressRefused, match=f"'place' expired on {yesterday}; set a later expires"):
            Egress([way(url, expires=yesterday)], nothing).send(parcel(url))
        assert Egress([way(url, expires=date.today())], nothing).send(parcel(url)).status == 200
    assert asked == ["/v2"]


def test_a_redirect_is_not_followed() -> None:
    told = r"place answered with a redirect \(307\), which is never followed"
    with answering(redirecting) as (url, asked), pytest.raises(RemoteFailed, match=told):
        Egress([way(url)], nothing).send(parcel(url))
    assert asked == ["/v2"]


@pytest.mark.parametrize(("answer", "sentence"), [(endless, "more than 1 MiB"), (packed, "compressed its answer")])
def test_an_answer_without_bound_is_refused(answer: Answer, sentence: str) -> None:
    with answering(answer) as (url, _), pytest.raises(RemoteFailed, match=sentence):
        Egress([way(url)], nothing).send(parcel(url))


def test_an_answer_that_drips_is_not_waited_for() -> None:
    with answering(dripping) as (url, _), pytest.raises(RemoteTimeout, match=r"did not answer within 0\.3 s"):
        Egress([way(url)], nothing).send(parcel(url, seconds=0.3))


def test_nobody_there_is_unavailable() -> None:
    with answering(fine) as (url, _):
        pass
    with pytest.raises(RemoteUnavailable, match=r"place at http://127\.0\.0\.1:\d+ is unreachable"):
        Egress([way(url)], nothing).send(parcel(url))


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(fine) as (url, asked), answering(redirecting) as (proxy, asked_of_proxy):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        Egress([way(url)], nothing).send(parcel(url))
    assert (asked, asked_of_proxy) == (["/v2"], [])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that only itself vouches for, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=model server"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "pem")),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "pem").read_bytes())
    return both


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    told = "CERTIFICATE_VERIFY_FAILED"
    with answering(fine, certificate) as (url, asked), pytest.raises(RemoteUnavailable, match=told):
        Egress([way(url)], nothing).send(parcel(url))
    assert asked == []


def test_the_authority_of_the_settings_vouches(certificate: Path) -> None:
    with answering(fine, certificate) as (url, _):
        assert Egress([way(url, ca_file=certificate)], nothing).send(parcel(url)).body == b"fine"


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(EgressRefused, match=r"ca\.pem of \[\[egress\]\] is not a readable certificate"):
        Egress([way("https://127.0.0.1:1", ca_file=tmp_path / "ca.pem")], nothing).send(parcel("https://127.0.0.1:1"))
