"""Reads the DICOM JSON model (PS3.18 F) of archives; tolerates invalid elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag

from orchestrator.archive.query.matching import values
from orchestrator.domain.series import Headers, HeaderValue

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def headers_in(answer: Mapping[str, Any]) -> Headers:
    """Return keyword -> values, without empty and private attributes, sequences and bulk data."""
    headers: dict[str, tuple[HeaderValue, ...]] = {}
    for tag, element in answer.items():
        keyword = _keyword(tag)
        if keyword and (texts := _texts(element)) and (items := values(keyword, texts)):
            headers[keyword] = items
    return headers


def items_in(answer: object, tag: str) -> list[Mapping[str, Any]]:
    """Return the items of a sequence, none where it is absent. tag: eight hexadecimal digits."""
    element = answer.get(tag) if isinstance(answer, dict) else None
    value = element.get("Value") if isinstance(element, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _keyword(tag: str) -> str:
    try:
        return keyword_for_tag(int(tag, 16)) if len(tag) == 8 else ""
    except ValueError:
        return ""


def _texts(element: object) -> list[object]:
    items = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(items, list):
        return []
    texts = [_name(item) if isinstance(item, dict) else item for item in items]
    return [text for text in texts if isinstance(text, str | int | float) and text != ""]


def _name(value: Mapping[str, Any]) -> str:
    """Return a person name in DICOM's notation (PS3.5 6.2, PN); empty for an item of a sequence."""
    return "=".join(str(value.get(group) or "") for group in _NAME_GROUPS).rstrip("=")
