"""DICOM's JSON model (PS3.18 F) as archives write it: the plain values of an answer, read with care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag

from orchestrator.archive.query.matching import values
from orchestrator.domain.series import Headers, HeaderValue

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def headers_in(answer: Mapping[str, Any]) -> Headers:
    """Return keyword -> values; attributes that are empty, private, sequences or bulk data are left out."""
    headers: dict[str, tuple[HeaderValue, ...]] = {}
    for tag, element in answer.items():
        keyword = _keyword(tag)
        if keyword and (texts := _texts(element)) and (found := values(keyword, texts)):
            headers[keyword] = found
    return headers


def items_in(answer: object, tag: str) -> list[Mapping[str, Any]]:
    """Return the items of a sequence, none where it is absent. tag: its eight digits."""
    element = answer.get(tag) if isinstance(answer, dict) else None
    held = element.get("Value") if isinstance(element, dict) else None
    return [item for item in held if isinstance(item, dict)] if isinstance(held, list) else []


def _keyword(tag: str) -> str:
    try:
        return keyword_for_tag(int(tag, 16)) if len(tag) == 8 else ""
    except ValueError:
        return ""


def _texts(element: object) -> list[object]:
    held = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(held, list):
        return []
    texts = [_name(value) if isinstance(value, dict) else value for value in held]
    return [text for text in texts if isinstance(text, str | int | float) and text != ""]


def _name(value: Mapping[str, Any]) -> str:
    """Return a person name as DICOM writes it (PS3.5 6.2, PN); empty for an item of a sequence."""
    return "=".join(str(value.get(group) or "") for group in _NAME_GROUPS).rstrip("=")
