"""The DICOM Conformance Statement of the installed version (PS3.2), with the settings of this installation."""

from __future__ import annotations

import orchestrator
from orchestrator.app.conformance import network, objects
from orchestrator.app.conformance.layout import page, table
from orchestrator.config import Settings
from orchestrator.dicom.objects.provenance import HOST
from orchestrator.network.tls import CLIENT_CIPHERS, SERVER_CIPHERS

_HEAD = f"""# DICOM Conformance Statement

{HOST} {{version}}. This statement is made from the program itself and from its settings:
`orchestrator conformance` prints it for an installation. Its structure follows DICOM PS3.2.
"""
_OVERVIEW = """{host} takes series of images, runs models on those that rules choose, and stores what they found
as DICOM objects in archives: unverified, for a radiologist to judge. It takes verdicts on them from archives."""
_MEDIA = "No media are written or read. Files of a folder (PS3.10, without DICOMDIR) can be read and written instead."
_INTRODUCTION = """For administrators of archives and integrators who know DICOM. What DICOM leaves open (which images
a model is meant for, what it finds) is in the card of each model. AE: application entity. SCU, SCP: user and provider
of a service."""
_FLOW = """RECEIVER takes instances and keeps them. CLIENT looks at archives that are watched and fetches what
a rule could want. When a series is complete, its models run; CLIENT asks the archive whether it still holds the source
images for the same patient, and stores the results, confirmed by query or storage commitment. When a newer result
takes the place of one, or a faulty model is retracted, it stores notes that reject the older objects."""
_CHARACTERS = """Received: every character set of PS3.3 C.12.1.1.2, single byte, with code extensions and multi-byte;
text in one that is not known is read as ISO_IR 100. Written: `ISO_IR 192`, whatever the source has. Queries: ASCII, or
ISO_IR 192 where a value is none; answers are read by the character set that they name."""


def dicom_statement(settings: Settings) -> str:
    """Return the statement as Markdown."""
    return page(
        _HEAD.format(version=orchestrator.__version__),
        page("## 1 Overview", _OVERVIEW.format(host=HOST), "Network services:", network.services()),
        page("DICOMweb services: section 5. Media: none. Security: TLS, section 8."),
        page("## 2 Introduction", _INTRODUCTION),
        page("## 3 Implementation model", _FLOW, network.application_entities(settings)),
        page("## 4 Application entities", "### 4.1 RECEIVER", network.receiver(settings)),
        page("### 4.2 CLIENT", network.client(settings)),
        page("## 5 DICOMweb services", network.web_services(settings)),
        page("## 6 Media interchange", _MEDIA),
        page("## 7 Configuration and character sets", _configuration(), _CHARACTERS),
        page("## 8 Security", _security(settings)),
        page("## Annex A: objects that are written", objects.objects()),
        page("## Annex B: coded terms", objects.coded_terms()),
        page(
            "## Annex C: objects that are taken",
            "Standard ones, retired ones too; `receiver.accept` adds others. There are no private SOP classes, "
            "transfer syntaxes or elements of this product. None are extended or specialized.",
            network.storage(),
        ),
    )


def _configuration() -> str:
    rows = [
        ("own AE titles, ports, who may send", "`[receiver]`, `[[entity]]`, `[receiver_tls]`, `[[sender]]`"),
        ("archives: address, AE titles, watch, retrieve", "`[[archive]]`"),
        ("destinations: address, objects, encoding, confirmation", "`[[destination]]`"),
        ("DICOMweb", "`[web]`"),
    ]
    return page("All of it stands in one settings file ([settings](settings.md)).", table(["what", "where"], rows))


def _security(settings: Settings) -> str:
    tls = settings.receiver_tls
    state = f"on, port {tls.port}" if tls.enabled else "off by these settings"
    asked = "must show a certificate (mutual authentication)" if tls.require_certificate else "need show no certificate"
    suites = f"`{CLIENT_CIPHERS}` and those of TLS 1.3"
    rows = [
        ("RECEIVER", f"{state}; senders {asked}", f"`{SERVER_CIPHERS}` and those of TLS 1.3"),
        (
            "CLIENT, `dimse+tls`",
            "certificate and name of the archive are always checked",
            suites,
        ),
        ("DICOMweb user agent, `https`", "the same", suites),
    ]
    return page(
        "Secure transport by TLS 1.2 and 1.3, by the Modified BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12):",
        table(["application entity", "use", "cipher suites (OpenSSL's names)"], rows),
        "Senders can be bound to a certificate. User identity negotiation, audit messages (PS3.15 A.5) and digital "
        "signatures are not supported; the audit trail is kept in the ledger (`orchestrator events`).",
    )
