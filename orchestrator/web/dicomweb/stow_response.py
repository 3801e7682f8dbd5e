"""The Store Instances Response (PS3.18 10.5.3 and table I.2-1) as DICOM JSON or as native DICOM XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from orchestrator.archive import StowResult

Item = dict[str, tuple[str, str | int]]
"""Tag -> (value representation, value)."""

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_KEYWORDS = {
    "00081150": "ReferencedSOPClassUID",
    "00081155": "ReferencedSOPInstanceUID",
    "00081197": "FailureReason",
    "00081198": "FailedSOPSequence",
    "00081199": "ReferencedSOPSequence",
    "0008119A": "OtherFailuresSequence",
}


def as_json(results: Sequence[StowResult]) -> bytes:
    """Return the response in the DICOM JSON model (PS3.18 annex F)."""
    answer: dict[str, Any] = {
        tag: {
            "vr": "SQ",
            "Value": [{tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in item.items()} for item in items],
        }
        for tag, items in _sequences(results).items()
    }
    return json.dumps(answer).encode()


def as_xml(results: Sequence[StowResult]) -> bytes:
    """Return the response in the native DICOM model (PS3.19 annex A.1)."""
    root = ElementTree.Element("NativeDicomModel", {"xmlns": _NAMESPACE, "xml:space": "preserve"})
    for tag, items in _sequences(results).items():
        sequence = _attribute(root, tag, "SQ")
        for number, item in enumerate(items, start=1):
            holder = ElementTree.SubElement(sequence, "Item", number=str(number))
            for inner, (vr, value) in item.items():
                ElementTree.SubElement(_attribute(holder, inner, vr), "Value", number="1").text = str(value)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'.encode()


def _attribute(parent: ElementTree.Element, tag: str, vr: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, "DicomAttribute", {"tag": tag, "vr": vr, "keyword": _KEYWORDS[tag]})


def _sequences(results: Sequence[StowResult]) -> dict[str, list[Item]]:
    """Return the sequences of the response that have items: failures with UIDs, stored objects, other failures."""
    failures = [result for result in results if result.reason and result.sop_uid and result.sop_class]
    sequences = {
        "00081198": [_item(result) for result in failures],
        "00081199": [_item(result) for result in results if not result.reason],
        "0008119A": [_reason(result) for result in results if result.reason and result not in failures],
    }
    return {tag: items for tag, items in sequences.items() if items}


def _item(result: StowResult) -> Item:
    item: Item = {"00081150": ("UI", result.sop_class), "00081155": ("UI", result.sop_uid)}
    return item | _reason(result) if result.reason else item


def _reason(result: StowResult) -> Item:
    return {"00081197": ("US", result.reason)}
