"""The DICOM Conformance Statement of the installed version (PS3.2), with the settings of this installation."""

from __future__ import annotations

import orchestrator
from orchestrator.app.conformance import network, objects
from orchestrator.app.conformance.layout import page, table
from orchestrator.config import Settings
from orchestrator.dicom.objects.provenance import HOST
from orchestrator.network.tls import CLIENT_CIPHERS, SERVER_CIPHERS

_HEAD = f"""# DICOM Conformance Statement

{HOST} {{version}}. The program generates this statement from its code and settings. `orchestrator conformance`
prints it for an installation. The structure follows DICOM PS3.2.
"""
_OVERVIEW = """{host} receives series of images, runs models on the series that rules select, and stores the results
as DICOM objects in archives. The results are unverified; a radiologist reviews them. It reads verdicts from
archives."""
_MEDIA = "No media are written or read. The host can read and write files of a folder (PS3.10, without DICOMDIR)."
_INTRODUCTION = """This statement is for administrators of archives and integrators who know DICOM. The card of each
model states what DICOM does not: its intended use and its results. AE: application entity. SCU, SCP: user and provider
of a service."""
_FLOW = """RECEIVER receives and stores instances. CLIENT polls watched archives and fetches series that a rule may
match. When a series is complete, its models run. CLIENT queries whether the archive still holds the source images of
the same patient. It then stores the results and confirms them by query or storage commitment. If a newer result
supersedes an older one, or a model version is retracted, it stores rejection notes for the older objects."""
_CHARACTERS = """Received: every character set of PS3.3 C.12.1.1.2, single byte, with code extensions and multi-byte.
Text in an unknown character set is read as ISO_IR 100. Written: always `ISO_IR 192`. Queries: ASCII, or ISO_IR 192 if a
value is not ASCII. Answers are read in the character set that they name."""


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
        page("## Annex A: written objects", objects.objects()),
        page("## Annex B: coded terms", objects.coded_terms()),
        page(
            "## Annex C: accepted objects",
            "All standard storage classes, including retired ones; `receiver.accept` adds others. This product defines "
            "no private SOP classes, transfer syntaxes or elements, and no extended or specialized SOP classes.",
            network.storage(),
        ),
    )


def _configuration() -> str:
    rows = [
        ("own AE titles, ports, allowed senders", "`[receiver]`, `[[entity]]`, `[receiver_tls]`, `[[sender]]`"),
        ("archives: address, AE titles, watch, retrieve", "`[[archive]]`"),
        ("destinations: address, objects, encoding, confirmation", "`[[destination]]`"),
        ("DICOMweb", "`[web]`"),
    ]
    return page("One settings file holds the configuration ([settings](settings.md)).", table(["what", "where"], rows))


def _security(settings: Settings) -> str:
    tls = settings.receiver_tls
    state = f"on, port {tls.port}" if tls.enabled else "off in these settings"
    duty = "must show a certificate (mutual authentication)" if tls.require_certificate else "need no certificate"
    suites = f"`{CLIENT_CIPHERS}` and those of TLS 1.3"
    rows = [
        ("RECEIVER", f"{state}; senders {duty}", f"`{SERVER_CIPHERS}` and those of TLS 1.3"),
        (
            "CLIENT, `dimse+tls`",
            "always checks certificate and name of the archive",
            suites,
        ),
        ("DICOMweb user agent, `https`", "the same", suites),
    ]
    return page(
        "Secure transport by TLS 1.2 and 1.3 with the Modified BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12):",
        table(["application entity", "use", "cipher suites (OpenSSL's names)"], rows),
        "An AE title can be bound to a certificate. User identity negotiation, audit messages (PS3.15 A.5) and digital "
        "signatures are not supported. The audit trail is in the ledger (`orchestrator events`).",
    )
