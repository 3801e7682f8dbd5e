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
    Status.PROCESSING_FAILURE: "the disk did not take it",
    Status.NO_SUCH_INSTANCE: "storage commitment: it is not here",
    Status.INVALID_ARGUMENT: "storage commitment: a reference cannot be read",
    Status.INVALID_SOP_INSTANCE: "the SOP Instance UID is no UID",
    Status.CLASS_INSTANCE_CONFLICT: "storage commitment: it is here with another SOP class",
    Status.SOP_CLASS_NOT_SUPPORTED: "not the class of the presentation context",
    Status.NO_SUCH_ACTION: "storage commitment: an unknown action or event",
    Status.UNRECOGNIZED_OPERATION: "an operation that is not offered",
    Status.RESOURCE_LIMITATION: "storage commitment: the disk has no room to keep the request",
    Status.OUT_OF_RESOURCES: "less disk space is free than `receiver.minimum_free_mb`",
    Status.DATA_SET_DOES_NOT_MATCH: "the data set says that it is another instance or class",
    Status.CANNOT_UNDERSTAND: "the data set cannot be read, or has no Study or Series Instance UID",
    Status.TRANSFER_SYNTAX_NOT_SUPPORTED: "an encoding that is not taken",
}


def services() -> str:
    """Return the table of network services, by SOP class and role."""
    retrieved, taken = "Storage, for C-GET", f"Storage: {len(STORAGE_CLASSES)} classes (annex C)"
    rows = [
        (name_of(VERIFICATION), _YES, _YES),
        *((name_of(uid), _YES, _NO) for uid in sorted(every_class(), key=name_of)),
        (taken, _NO, _YES),
        *((name_of(uid), _YES, _NO) for uid in (FIND, GET, MOVE)),
        (retrieved, _NO, "on the association that it asked for"),
        (name_of(PUSH_MODEL), "setting `confirm`", "setting `receiver.commitment`"),
    ]
    return table(["SOP class", "user (SCU)", "provider (SCP)"], rows)


def application_entities(settings: Settings) -> str:
    """Return who there is on the network, by the settings."""
    told, tls = settings.receiver, settings.receiver_tls
    ports = [f"{told.port}"] if not (tls.enabled and tls.only) else []
    ports += [f"{tls.port} (TLS)"] if tls.enabled else []
    titles = [told.ae_title, *(item.ae_title for item in settings.entities)] if told.enabled else []
    calling = sorted({item.ae_title for item in (*settings.archives, *settings.destinations)}) or ["ORCHESTRATOR"]
    rows = [
        (
            "RECEIVER",
            "takes instances that are pushed to it",
            f"{told.host} port {' and '.join(ports)}",
            _listed(titles),
        ),
        ("CLIENT", "asks archives, fetches from them, stores results in them", "no port", _listed(calling)),
    ]
    return table(["application entity", "what it does", "listens on", "AE titles"], rows)


def receiver(settings: Settings) -> str:
    """Return the specification of the entity that takes what is pushed."""
    told = settings.receiver
    limits = [
        ("associations at once", told.maximum_associations),
        ("largest PDU that it announces", f"{told.maximum_pdu} bytes"),
        ("asynchronous operations", "none: one operation at a time"),
        ("SOP class extended negotiation, user identity", "not used"),
        ("association idle for", f"{told.idle_seconds:g} s is aborted"),
        *_identification(),
    ]
    contexts = [
        (name_of(VERIFICATION), "those of files, see annex C", "SCP"),
        ("Storage, the classes of annex C" + _further(told.accept), "those of files, see annex C", "SCP"),
        (name_of(PUSH_MODEL), _names(COMMITMENT_ENCODINGS), "both"),
    ]
    return page(
        f"It takes associations from {_allowed(settings)}, under its own titles only. Others are rejected for good "
        "(calling, or called, AE title not recognized); above the number of associations, for the moment (local limit "
        "exceeded).",
        table(["association", ""], limits),
        "Presentation contexts that it accepts; of the transfer syntaxes that are proposed, the first that it knows:",
        table(["abstract syntax", "transfer syntaxes", "role"], contexts),
        "It keeps instances as they come, all elements, private ones too (level 2, full), and changes nothing in them. "
        "It answers a C-STORE when the instance is durable. Statuses of its answers:",
        table(["status", "meaning"], [(f"{status:04X}H", _MEANINGS[status]) for status in Status]),
        _promises(settings.data.retain_days),
    )


def _promises(days: int) -> str:
    return page(
        "Storage commitment as provider, where the setting is on: it commits to what lies on its disk at that moment; "
        f"instances lie there for {days} days.",
        "An N-ACTION is answered with success when the request is durable on disk. The N-EVENT-REPORT follows on the "
        "same association while that is open, else on one that the host opens, in the role of SCP, to the address that "
        f"`[[sender]]` names: tried again after {RETRIES.first_seconds:g} s, then after twice as long each time up to "
        f"{RETRIES.longest_seconds:g} s, over restarts too, for {days} days at most. "
        "Any answer ends it; one that is a failure, and a sender that was never reached, are in the audit trail. A "
        "sender that asks again under the same Transaction UID before it was told gets one report, "
        "about what it asked last.",
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
            "Storage, those that the archive says it holds of the series",
            _names(TRANSFER_SYNTAXES),
            "SCP (role selection)",
        ),
        (name_of(MOVE), plain, "SCU"),
        (name_of(PUSH_MODEL), plain, "SCU"),
    ]
    limits = [
        ("associations at once", "one for each thing that is asked of an archive"),
        ("largest PDU that it announces", f"{ANNOUNCED_PDU_BYTES} bytes"),
        ("asynchronous operations", "none"),
        *_identification(),
    ]
    keys = [
        ("STUDY", "unique: StudyInstanceUID; PatientID, PatientName, AccessionNumber, StudyDate and what a rule asks"),
        (
            "SERIES",
            "StudyInstanceUID; Modality, SeriesDescription, NumberOfSeriesRelatedInstances and what a rule asks",
        ),
        ("IMAGE", "StudyInstanceUID, SeriesInstanceUID; SOPInstanceUID and SOPClassUID are asked for"),
    ]
    return page(
        "It opens an association to deliver a result, to look for new series (`watch`), to fetch one, and before each "
        "delivery to ask whether the archive holds the source images and the same patient. It accepts none.",
        table(["association", ""], limits),
        table(["abstract syntax", "transfer syntaxes", "role"], contexts),
        "C-FIND in the Study Root model, without relational queries, fuzzy matching or time zone adjustment:",
        table(["level", "keys"], keys),
        "C-GET and C-MOVE are asked for whole series. A C-STORE that is answered with a warning (BxxxH) counts as "
        "stored; A7xxH is tried again later; any other status parks the delivery until a person asks for it. "
        'A delivery is confirmed by asking for the instances (`confirm = "readback"`) or by storage commitment; the '
        "report of that is taken on the same association or by RECEIVER.",
        _destinations(settings),
    )


def web_services(settings: Settings) -> str:
    """Return what is offered and asked for by DICOMweb (PS3.18)."""
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
        "The response of the origin server is DICOM JSON or native DICOM XML: 200 all, 202 some, 409 none kept, "
        "503 while the disk is full. HTTP/1.1 with TLS 1.2 or later as user agent, Basic authentication, no redirects.",
    )


def storage() -> str:
    """Return the tables of what is taken: SOP classes and transfer syntaxes."""
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
    return page("Destinations by the settings of this installation:", table(head, rows))


def _further(accept: Sequence[str]) -> str:
    more = [item for item in accept if item != "storage"]
    return f" and by `receiver.accept`: {', '.join(more)}" if more else ""


def _viewer(settings: Settings) -> Sequence[tuple[str, str, str]]:
    if settings.web.viewer is None:
        return []
    how = "`/viewer/dicom-web`, for the viewer beside the pages only: what one archive answers is passed on"
    return [("Search, Retrieve", "origin server", how)]


def _allowed(settings: Settings) -> str:
    senders = {*settings.receiver.allow, *(title for item in settings.entities for title in item.allow)}
    return _listed(sorted(senders)) if senders else "any AE title, on this machine only"


def _names(found: Iterable[str]) -> str:
    return ", ".join(map(name_of, found))


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(f"`{title}`" for title in titles) or _NO
