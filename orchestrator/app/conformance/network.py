"""The application entities of this host and what they do on the network (PS3.2, AE specifications)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.app.conformance.layout import name_of, page, table, uids
from orchestrator.archive.dimse.query import FIND, PROPOSED
from orchestrator.archive.dimse.retrieve import GET, MOVE, TRANSFER_SYNTAXES
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from orchestrator.archive.protocol.negotiation import (
    ANNOUNCED_PDU_BYTES,
    COMMITMENT_ENCODINGS,
    PUSH_MODEL,
    STORAGE_CLASSES,
    VERIFICATION,
    file_encodings,
)
from orchestrator.archive.receiver.commitment_reports import RETRIES
from orchestrator.config import Settings
from orchestrator.dicom.objects.write_options import Syntax, every_class

_YES, _NO = "yes", "-"
_MEANINGS = {
    Status.SUCCESS: "the instance is durable on disk",
    Status.PROCESSING_FAILURE: "the disk failed to store the instance",
    Status.NO_SUCH_INSTANCE: "storage commitment: the instance is not stored here",
    Status.INVALID_ARGUMENT: "storage commitment: a reference cannot be read",
    Status.INVALID_SOP_INSTANCE: "the SOP Instance UID is not a valid UID",
    Status.CLASS_INSTANCE_CONFLICT: "storage commitment: the instance is stored with another SOP class",
    Status.SOP_CLASS_NOT_SUPPORTED: "not the class of the presentation context",
    Status.NO_SUCH_ACTION: "storage commitment: an unknown action or event",
    Status.UNRECOGNIZED_OPERATION: "an operation that is not supported",
    Status.RESOURCE_LIMITATION: "storage commitment: no disk space to store the request",
    Status.OUT_OF_RESOURCES: "less disk space is free than `receiver.minimum_free_mb`",
    Status.DATA_SET_DOES_NOT_MATCH: "the data set belongs to another instance or class",
    Status.CANNOT_UNDERSTAND: "the data set cannot be read, or has no Study or Series Instance UID",
    Status.TRANSFER_SYNTAX_NOT_SUPPORTED: "an encoding that is not accepted",
}


def services() -> str:
    """Return the table of network services, by SOP class and role."""
    retrieval, storage_classes = "Storage, for C-GET", f"Storage: {len(STORAGE_CLASSES)} classes (annex C)"
    rows = [
        (name_of(VERIFICATION), _YES, _YES),
        *((name_of(uid), _YES, _NO) for uid in sorted(every_class(), key=name_of)),
        (storage_classes, _NO, _YES),
        *((name_of(uid), _YES, _NO) for uid in (FIND, GET, MOVE)),
        (retrieval, _NO, "on the association of the C-GET"),
        (name_of(PUSH_MODEL), "setting `confirm`", "setting `receiver.commitment`"),
    ]
    return table(["SOP class", "user (SCU)", "provider (SCP)"], rows)


def application_entities(settings: Settings) -> str:
    """Return the table of application entities with the addresses and AE titles of the settings."""
    listener, tls = settings.receiver, settings.receiver_tls
    ports = [f"{listener.port}"] if not tls.replaces_plain else []
    ports += [f"{tls.port} (TLS)"] if tls.enabled else []
    titles = [listener.ae_title, *(item.ae_title for item in settings.entities)] if listener.enabled else []
    calling = sorted({item.ae_title for item in (*settings.archives, *settings.destinations)}) or ["ORCHESTRATOR"]
    rows = [
        (
            "RECEIVER",
            "receives instances from senders",
            f"{listener.host} port {' and '.join(ports)}",
            _listed(titles),
        ),
        ("CLIENT", "queries archives, fetches from them, stores results in them", "no port", _listed(calling)),
    ]
    return table(["application entity", "what it does", "listens on", "AE titles"], rows)


def receiver(settings: Settings) -> str:
    """Return the specification of the entity that receives instances."""
    listener = settings.receiver
    limits = [
        ("maximum number of associations", listener.maximum_associations),
        ("maximum PDU size that it announces", f"{listener.maximum_pdu} bytes"),
        ("asynchronous operations", "none: one operation at a time"),
        ("SOP class extended negotiation, user identity", "not used"),
        ("idle association", f"aborted after {listener.idle_seconds:g} s"),
        *_identification(),
    ]
    contexts = [
        (name_of(VERIFICATION), "those of files, see annex C", "SCP"),
        ("Storage, the classes of annex C" + _further(listener.accept), "those of files, see annex C", "SCP"),
        (name_of(PUSH_MODEL), _names(COMMITMENT_ENCODINGS), "both"),
    ]
    return page(
        f"It accepts associations from {_allowed(settings)}, with its own called AE titles only. It rejects others "
        "permanently (calling or called AE title not recognized). Above the maximum number of associations it rejects "
        "transiently (local limit exceeded).",
        table(["association", ""], limits),
        "Accepted presentation contexts. Of the proposed transfer syntaxes it accepts the first one that it supports:",
        table(["abstract syntax", "transfer syntaxes", "role"], contexts),
        "It stores all elements of an instance unchanged, private elements included (level 2, full). It answers a "
        "C-STORE when the instance is durable on disk. Statuses of its answers:",
        table(["status", "meaning"], [(f"{status:04X}H", _MEANINGS[status]) for status in Status]),
        _commitment(settings.data.retain_days),
    )


def _commitment(days: int) -> str:
    return page(
        "Storage commitment as provider, if `receiver.commitment` is set: it commits to the instances on its disk at "
        f"that moment. Instances stay there for {days} days.",
        "It answers an N-ACTION with success when the request is durable on disk. It sends the N-EVENT-REPORT on the "
        "same association while that is open. Otherwise it opens an association, in the role of SCP, to the address of "
        f"`[[sender]]`. It retries after {RETRIES.first_seconds:g} s, then after twice the time, up to "
        f"{RETRIES.longest_seconds:g} s, also after restarts, for at most {days} days. "
        "Any answer ends the retries. The audit trail records an answer with a failure, and a sender that was never "
        "reached. If a sender repeats a request with the same Transaction UID before its report, it gets one report, "
        "on its last request.",
    )


def client(settings: Settings) -> str:
    """Return the specification of the entity that calls archives."""
    syntaxes, plain = _names(syntax.uid for syntax in Syntax), _names(PROPOSED)
    contexts = [
        (name_of(VERIFICATION), plain, "SCU"),
        ("Storage, the classes of annex A", f"that of the instance, one of: {syntaxes}", "SCU"),
        (name_of(FIND), plain, "SCU"),
        (name_of(GET), plain, "SCU"),
        (
            "Storage, the classes that the archive reports for the series",
            _names(TRANSFER_SYNTAXES),
            "SCP (role selection)",
        ),
        (name_of(MOVE), plain, "SCU"),
        (name_of(PUSH_MODEL), plain, "SCU"),
    ]
    limits = [
        ("maximum number of associations", "one for each request to an archive"),
        ("maximum PDU size that it announces", f"{ANNOUNCED_PDU_BYTES} bytes"),
        ("asynchronous operations", "none"),
        *_identification(),
    ]
    keys = [
        (
            "STUDY",
            "unique: StudyInstanceUID; PatientID, PatientName, AccessionNumber, StudyDate and the keywords of rules",
        ),
        (
            "SERIES",
            "StudyInstanceUID; Modality, SeriesDescription, NumberOfSeriesRelatedInstances and the keywords of rules",
        ),
        ("IMAGE", "StudyInstanceUID, SeriesInstanceUID; returned: SOPInstanceUID and SOPClassUID"),
    ]
    return page(
        "It opens an association to deliver a result, to poll for new series (`watch`), and to fetch a series. Before "
        "each delivery it queries whether the archive holds the source images and the same patient. It accepts no "
        "association.",
        table(["association", ""], limits),
        table(["abstract syntax", "transfer syntaxes", "role"], contexts),
        "C-FIND in the Study Root model, without relational queries, fuzzy matching or time zone adjustment:",
        table(["level", "keys"], keys),
        "C-GET and C-MOVE retrieve whole series. A C-STORE response with a warning (BxxxH) counts as stored. A7xxH is "
        "retried. Any other status parks the delivery until a person retries it. "
        'A delivery is confirmed by querying the instances (`confirm = "readback"`) or by storage commitment. The '
        "commitment report may come on the same association or to RECEIVER.",
        _destinations(settings),
    )


def web_services(settings: Settings) -> str:
    """Return the table of DICOMweb services that are provided and used (PS3.18)."""
    stow = settings.web.enabled and settings.web.stow and settings.receiver.enabled
    where = (
        f"`http://{settings.web.host}:{settings.web.port}/dicom-web/studies`" if stow else "switched off (`web.stow`)"
    )
    rows = [
        (
            "Store (STOW-RS)",
            "origin server",
            f'{where}; binary instances, `multipart/related; type="application/dicom"`',
        ),
        ("Store (STOW-RS)", "user agent", "results to a `dicomweb+http(s)` destination"),
        ("Search (QIDO-RS)", "user agent", "studies, series, instances; `application/dicom+json`"),
        ("Retrieve (WADO-RS)", "user agent", "series and instances; `application/dicom`, any transfer syntax"),
        *_viewer(settings),
        ("Retrieve rendered, UPS-RS, WADO-URI", _NO, "not supported"),
    ]
    return page(
        table(["service", "role", "how"], rows),
        "The response of the origin server is DICOM JSON or native DICOM XML: 200 all stored, 202 some stored, 409 "
        "none stored, 503 disk full. As user agent: HTTP/1.1, TLS 1.2 or later, Basic authentication, no redirects.",
    )


def storage() -> str:
    """Return the tables of accepted SOP classes and transfer syntaxes."""
    return page("### SOP classes", uids(STORAGE_CLASSES), "### Transfer syntaxes", uids(file_encodings()))


def _identification() -> Sequence[tuple[str, str]]:
    return [
        ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION}`"),
    ]


def _destinations(settings: Settings) -> str:
    if not settings.destinations:
        return ""
    rows = [
        (item.name, item.ae_title, item.seg, item.sr, item.transfer_syntax, item.confirm)
        for item in settings.destinations
    ]
    head = ["destination", "calling AE title", "SEG", "SR", "transfer syntax", "confirmed by"]
    return page("Destinations of this installation:", table(head, rows))


def _further(accept: Sequence[str]) -> str:
    more = [item for item in accept if item != "storage"]
    return f" and of `receiver.accept`: {', '.join(more)}" if more else ""


def _viewer(settings: Settings) -> Sequence[tuple[str, str, str]]:
    if settings.web.viewer is None:
        return []
    how = "`/viewer/dicom-web`, for the viewer beside the pages only: passes on the answers of one archive"
    return [("Search, Retrieve", "origin server", how)]


def _allowed(settings: Settings) -> str:
    senders = {*settings.receiver.allow, *(title for item in settings.entities for title in item.allow)}
    return _listed(sorted(senders)) if senders else "any AE title, on this machine only"


def _names(class_uids: Iterable[str]) -> str:
    return ", ".join(map(name_of, class_uids))


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(f"`{title}`" for title in titles) or _NO
