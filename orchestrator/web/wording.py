"""Turns records into text for people: ages, numbers, findings, deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.correction import measured
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.domain.images import ImageCount
from orchestrator.domain.job import Priority, Purpose
from orchestrator.domain.records import DeliveryRecord, DeliveryState, ReviewRecord, SeriesRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.domain.unit import shown_unit
from orchestrator.domain.worklist import Order
from orchestrator.web.views import Age

Entry = Mapping[str, object]
Condition = Mapping[str, Any]
"""A condition of a rule with the values found, as rules.Explanation writes it."""
EXPECTED_SHOWN = 6

URGENCY: Mapping[Urgency | None, str] = {
    Urgency.IMMEDIATE: "Immediate: act within minutes",
    Urgency.URGENT: "Urgent: act within hours",
    Urgency.NON_URGENT: "Not urgent: act within days",
    None: "Urgency: not given by the model",
}
REASONS: Mapping[RejectReason, str] = {
    RejectReason.WRONG: "Finding or outline is wrong",
    RejectReason.INCOMPLETE: "Something is missing",
    RejectReason.NOT_USEFUL: "Correct but not useful here",
    RejectReason.WRONG_PATIENT: "Wrong patient",
    RejectReason.WRONG_SIDE: "Wrong side",
    RejectReason.WRONG_GEOMETRY: "Wrong place (geometry)",
}
REVIEW: Mapping[ReviewState, str] = {
    ReviewState.PENDING: "Pending",
    ReviewState.SECOND_READER: "Second reader",
    ReviewState.DISAGREED: "Disagree",
    ReviewState.ACCEPTED: "Accepted",
    ReviewState.REJECTED: "Rejected",
    ReviewState.CORRECTED: "Corrected",
    ReviewState.SUPERSEDED: "Superseded",
    ReviewState.RETRACTED: "Retracted",
}
"""In the order in which they are looked for."""
AGES: Mapping[Age, str] = {Age.ANY: "Any", Age.DAY: "Last 24 hours", Age.WEEK: "Last 7 days"}
ORDERS: Mapping[Order, str] = {
    Order.URGENCY: "Most urgent first",
    Order.OLDEST: "Oldest first",
    Order.NEWEST: "Newest first",
    Order.MODEL: "By model",
    Order.STATE: "By state",
}
PRIORITY: Mapping[Priority, str] = {
    Priority.STAT: "Stat",
    Priority.URGENT: "Urgent",
    Priority.ROUTINE: "Routine",
    Priority.BACKFILL: "Backfill",
}
WARNINGS: Mapping[str, str] = {
    "identity-changed": "The archive changed the patient of this study after the result was made "
    "(merged, renamed or moved). "
    "Check that patient and images belong together.",
    "result-stale": "The series changed after this result was delivered. Compare the result with the current images.",
}
PURPOSE: Mapping[Purpose, str] = {
    Purpose.LIVE: "Live",
    Purpose.SHADOW: "Shadow run: not delivered",
    Purpose.REPLAY: "Replay of an earlier series",
}


def age(since: datetime, now: datetime) -> str:
    """Return how long ago that was, in its two largest units at most."""
    minutes = int((now - since) / timedelta(minutes=1))
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 7 else f"{days} d"


def sentence(text: str) -> str:
    """Return a message as a sentence: with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def local(at: datetime) -> str:
    """Return date and time in this machine's zone, with the zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def short(uid: str) -> str:
    """Return the end of a UID, which is what differs between its neighbours."""
    return uid if len(uid) <= 14 else f"…{uid[-12:]}"


def number(value: object) -> str:
    """Return a number with three significant digits or all before the point, thousands separated; others as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quantity(entry: Entry) -> str:
    """Return value and unit of a measurement."""
    return f"{number(entry.get('value', ''))} {shown_unit(str(entry.get('unit', '')))}".strip()


def measurement(entry: Entry) -> str:
    """Return one measurement in a line: "Brain 1,502 ml"; the plain volume of a segment needs no name."""
    name = measured(entry)
    segment = str(entry.get("segment") or "")
    return f"{segment if name == f'{segment} volume' else name} {quantity(entry)}{_ai_values(entry)}"


def presence(entry: Entry) -> str:
    """Return the presence of a finding: present, absent, undetermined."""
    return str(entry.get("value") or entry.get("presence") or "present")


def confidence(entry: Entry) -> str:
    """Return the calibrated certainty in percent, else the raw score; "" where the model gave none."""
    certainty = entry.get("certainty_percent")
    if certainty is None and entry.get("probability") is not None:
        certainty = float(str(entry["probability"])) * 100
    if certainty is not None:
        return f"certainty {number(certainty)} %"
    return "" if entry.get("score") is None else f"score {float(str(entry['score'])):.2f}"


def place(entry: Entry) -> str:
    """Return side and site of a finding, "" where none is stated or its name says it already."""
    words = (str(entry.get(key) or "") for key in ("laterality", "site"))
    return " ".join(word for word in words if word and word != entry.get("name")).lower()


def images(entry: Entry) -> str:
    """Return on how many whole images a finding is shown, "" where no image is named."""
    uids = entry.get("images")
    return f"{len(uids)} image{'s' if len(uids) > 1 else ''}" if isinstance(uids, list | tuple) and uids else ""


def finding(entry: Entry) -> str:
    """Return one finding in a line: "Burned-in text: present, score 0.93"."""
    name = ", ".join(filter(None, (str(entry.get("name", "Finding")), place(entry))))
    if "ai" in entry:  # its score was that of the model's answer
        return f"{name}: {presence(entry)}{_ai_values(entry)}"
    return f"{name}: {', '.join(filter(None, (presence(entry), confidence(entry), images(entry))))}"


def by_reader(entry: Entry) -> str:
    """Return the reader's values of an entry, "" where the reader changed nothing."""
    fields = [field for field in ("value", "laterality", "urgency") if field in _ai(entry)]
    if "unit" in entry:
        return quantity(entry) if fields else ""
    return ", ".join(str(entry.get(field) or f"no {field}") for field in fields)


def change(entry: Entry) -> str:
    """Return one change in a line: "Brain volume: 1,502 -> 1,480 ml"."""
    before, after = (number("nothing" if entry.get(side) is None else entry[side]) for side in ("before", "after"))
    return f"{entry.get('what', '')}: {before} → {after} {shown_unit(str(entry.get('unit') or ''))}".strip()


def agreement(numbers: Mapping[str, float]) -> str:
    """Return how far edited outlines agree with the model's: "Brain 0.93"."""
    return ", ".join(f"{label} {dice:.2f}" for label, dice in numbers.items())


def review_state(review: ReviewRecord) -> str:
    """Return a review's state in words; a correction without a name is unconfirmed until a reader confirms it."""
    return f"{REVIEW[review.state]}{', unconfirmed' if review.unconfirmed else ''}"


def _ai_values(entry: Entry) -> str:
    values = [number(value) for value in _ai(entry).values()]
    return f" (AI: {', '.join(values)})" if values else ""


def _ai(entry: Entry) -> Mapping[str, object]:
    values = entry.get("ai")
    return values if isinstance(values, Mapping) else {}


def found_values(condition: Condition) -> str:
    """Return the values that a condition of a rule met in the series."""
    return ", ".join(map(str, condition["found"])) or "absent"


def expected_values(condition: Condition) -> str:
    """Return the values that a condition of a rule asks for."""
    values = [str(value) for value in condition["wanted"]]
    return " or ".join(values[:EXPECTED_SHOWN]) + (
        f" or {len(values) - EXPECTED_SHOWN} more" * (len(values) > EXPECTED_SHOWN)
    )


def nearest_miss(rule: Mapping[str, Any]) -> str:
    """Return why a rule did not match: what excludes the series, else what the nearest alternative lacks."""
    vetoes = [
        f"{each['keyword']} is {found_values(each)}, which the rule excludes"
        for each in rule["unless"]
        if each["satisfied"]
    ]
    lacks = [[each for each in clause if not each["satisfied"]] for clause in rule["when"]]
    nearest = min(lacks, key=len, default=[])
    return "; ".join(
        [*vetoes, *(f"{each['keyword']} is {found_values(each)}, expected {expected_values(each)}" for each in nearest)]
    )


def fetch(record: FetchRecord) -> str:
    """Return why a series of an archive is not on this host."""
    match record.state:
        case FetchState.UNWANTED:
            return record.error or "No rule can match this series."
        case FetchState.WAITING:
            return record.error or "Waiting until no more images arrive."
        case FetchState.FETCHING:
            return "Being fetched now."
        case _:
            return "Fetched; listed above once complete."


def delivery(record: DeliveryRecord) -> str:
    """Return how far a delivery or a rejection note is, and why it waits."""
    if record.note:
        return _note(record)
    at = record.destination
    match record.state:
        case DeliveryState.CONFIRMED:
            return f"Stored in {at}"
        case DeliveryState.UNCONFIRMED:
            return f"Sent to {at}, storage not confirmed"
        case DeliveryState.SENDING:
            return f"Being sent to {at}"
        case DeliveryState.PARKED:
            return f"Delivery to {at} stopped: {record.error or 'no reason given'}"
        case DeliveryState.DISCARDED:
            return f"Not sent to {at}: {record.error or 'replaced before it left'}"
        case _ if record.next_attempt_at is None:
            return f"Waiting for {at}: the series may be incomplete"
    return f"Waiting for {at}" + (f": {record.error}" if record.error else "")


def _note(record: DeliveryRecord) -> str:
    what, at = f"Rejection note ({record.note})", record.destination
    why = f": {record.error}" if record.error else ""
    match record.state:
        case DeliveryState.CONFIRMED:
            return f"{what} stored in {at}"
        case DeliveryState.UNCONFIRMED:
            return f"{what} sent to {at}, storage not confirmed"
        case DeliveryState.SENDING:
            return f"{what} is being sent to {at}"
        case DeliveryState.PARKED:
            return f"{what} stopped on the way to {at}{why}"
        case DeliveryState.DISCARDED:
            return f"{what} not sent to {at}{why}"
    return f"{what} waits for {at}{why}"


def deliveries(records: Iterable[DeliveryRecord]) -> tuple[tuple[DeliveryState, str], ...]:
    """Return state and words for each delivery."""
    return tuple((record.state, delivery(record)) for record in records)


def count_of_images(images: Mapping[str, object]) -> str:
    """Return how many of the received images a model read, and which it left out for which reason."""
    return str(ImageCount.from_json(images))


def explanation(record: SeriesRecord) -> Any:
    """Return the stored explanation of the rules; None where the rules were not checked yet."""
    return json.loads(record.explanation) if record.explanation else None
