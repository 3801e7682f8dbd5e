"""Archives under TLS: DCMTK's storescp and pynetdicom peers with sound and unsound certificates."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND  # noqa: N814
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET  # noqa: N814
from pynetdicom.sop_class import Verification

from orchestrator.archive import Spool, SpoolInbox
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import FoundSeries
from tests.data.objects import instance, write_instances
from tests.parts.archive.dcmtk import Peer, storescp
from tests.parts.archive.dicom_peer import connected, dataset_of, peer_that
from tests.parts.certificates import Authority, Pair

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Pair:
    return authority.issue("pacs")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.issue("orchestrator")


@pytest.fixture(scope="module")
def dcmtk(authority: Authority, theirs: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Return a storescp that takes those only who show a certificate of the authority."""
    folder = tmp_path_factory.mktemp("storescp") / "received"
    options = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(authority.certificate))
    with storescp(folder, *options) as peer:
        yield peer


def tls_url(peer: Peer, host: str = "127.0.0.1") -> str:
    return f"dimse+tls://{peer.ae_title}@{host}:{peer.port}"


def files(authority: Authority, ours: Pair | None = None) -> dict[str, Any]:
    """Return the settings of TLS."""
    shown = {"certificate_file": ours.certificate, "key_file": ours.key} if ours else {}
    return {"ca_file": authority.certificate, **shown}


def server_side(pair: Pair, authority: Authority | None = None) -> ssl.SSLContext:
    """Return what a peer offers TLS with; with an authority it asks for a certificate of that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if authority:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_objects_are_stored_under_tls_with_certificates_on_both_sides(
    dcmtk: Peer, authority: Authority, ours: Pair, tmp_path: Path
) -> None:
    archive = connected(tls_url(dcmtk), **files(authority, ours))
    assert archive.echo() > 0
    sent = write_instances(tmp_path, 3)
    archive.store(sent)
    received = {dcmread(path).SOPInstanceUID for path in dcmtk.folder.iterdir()}
    assert received == {dcmread(path).SOPInstanceUID for path in sent}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_series_is_found_and_fetched_under_tls(
    authority: Authority, theirs: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    image = instance(study="1.2", series="1.3", pixels=bytes(1 << 20))
    answer = dataset_of(SOPInstanceUID=image.SOPInstanceUID, SOPClassUID=CT)
    handlers = {
        evt.EVT_C_FIND: lambda _: iter([(0xFF00, answer)]),
        evt.EVT_C_GET: lambda _: iter([1, (0xFF00, image)]),
    }
    tls = server_side(theirs)
    tls.maximum_version = version
    inbox = SpoolInbox(Spool(tmp_path, minimum_free_mb=0), source="pacs", series_uid="1.3", notify=lambda _: None)
    with peer_that(handlers, FIND, GET, sends=[CT], syntaxes=[ExplicitVRLittleEndian], tls=tls) as url:
        assert connected(url, **files(authority)).fetch(FoundSeries("1.2", "1.3"), inbox) == 1


def test_a_certificate_of_an_authority_that_nobody_named_is_refused(dcmtk: Peer, ours: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Another Authority")
    with pytest.raises(
        ArchiveRefused, match=r"invalid certificate \(self-signed certificate in certificate chain\).*ca_file"
    ):
        connected(tls_url(dcmtk), **files(other, ours)).echo()


def test_a_self_signed_certificate_is_refused(dcmtk: Peer, tmp_path: Path, authority: Authority) -> None:
    own = Authority(tmp_path, "localhost")  # an authority's certificate is signed by itself
    with (
        peer_that({}, Verification, tls=server_side(Pair(own.certificate, tmp_path / "authority.key"))) as url,
        pytest.raises(ArchiveRefused, match=r"invalid certificate \(self-signed certificate"),
    ):
        connected(url, **files(authority)).echo()


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    expired = authority.issue("expired", expired=True)
    with (
        peer_that({}, Verification, tls=server_side(expired)) as url,
        pytest.raises(ArchiveRefused, match=r"invalid certificate \(certificate has expired\): renew it there"),
    ):
        connected(url, **files(authority)).echo()


def test_a_certificate_of_another_host_is_refused(dcmtk: Peer, authority: Authority, ours: Pair) -> None:
    with pytest.raises(ArchiveRefused, match="mismatch"):
        connected(tls_url(dcmtk, "127.0.0.2"), **files(authority, ours)).echo()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_certificate_of_ours_is_named(authority: Authority, theirs: Pair, version: ssl.TLSVersion) -> None:
    tls = server_side(theirs, authority)
    tls.maximum_version = version
    with (
        peer_that({}, Verification, tls=tls) as url,
        pytest.raises((ArchiveRefused, ArchiveUnavailable), match="certificate"),
    ):
        connected(url, **files(authority)).echo()


def test_a_missing_certificate_of_ours_is_named_with_dcmtk_too(dcmtk: Peer, authority: Authority) -> None:
    with pytest.raises((ArchiveRefused, ArchiveUnavailable), match="certificate"):
        connected(tls_url(dcmtk), **files(authority)).echo()


def test_tls_where_there_is_none_is_named(authority: Authority) -> None:
    with peer_that({}, Verification) as url, pytest.raises(ArchiveRefused, match="speaks no TLS on this port"):
        connected(url.replace("dimse", "dimse+tls"), **files(authority), timeout_seconds=3.0).echo()


def test_an_archive_of_old_tls_is_named(authority: Authority, theirs: Pair) -> None:
    tls = server_side(theirs)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with peer_that({}, Verification, tls=tls) as url, pytest.raises(ArchiveRefused, match=r"no TLS 1\.2 or later"):
        connected(url, **files(authority)).echo()


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(ArchiveRefused, match=r"ca\.pem cannot be used for TLS"):
        connected("dimse+tls://PACS@127.0.0.1:1", ca_file=tmp_path / "ca.pem").echo()


def test_a_renewed_authority_counts_at_the_next_call(
    dcmtk: Peer, authority: Authority, ours: Pair, tmp_path: Path
) -> None:
    named = tmp_path / "ca.pem"
    named.write_bytes(Authority(tmp_path / "old", "Old Authority").certificate.read_bytes())
    archive = connected(tls_url(dcmtk), **(files(authority, ours) | {"ca_file": named}))
    with pytest.raises(ArchiveRefused):
        archive.echo()
    named.write_bytes(authority.certificate.read_bytes())
    assert archive.echo() > 0
