"""A morning's worth of results in a ledger, and pictures for them, for the tests of the pages."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.model import Intended, ModelDescription
from orchestrator.domain.quarantine import Conflict, QuarantinedImage
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import (
    DeliveryState,
    JobRecord,
    ObjectKind,
    ObjectRecord,
    ReviewRecord,
    SeriesRecord,
    SeriesState,
)
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from orchestrator.rules import default_rules
from orchestrator.web import ModelCardText

BRAIN_ML = 1502.3
RULES = default_rules()


def uid(word: str) -> str:
    """Return a UID made from a word."""
    return f"2.25.{int(hashlib.sha256(word.encode()).hexdigest()[:30], 16)}"


def key(word: str) -> str:
    """Return a job key made from a word."""
    return hashlib.sha256(word.encode()).hexdigest()


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class ReadingRoom:
    """Adds series, jobs and results to a ledger; each is known by a word."""

    ledger: Ledger
    keys: dict[str, str] = field(default_factory=dict)

    def series(
        self, word: str, *, modality: str = "MR", revision: int = 1, facts: Headers | None = None, minutes: float = 30
    ) -> SeriesRecord:
        """Return a released series; its explanation is that of the shipped rules."""
        record = SeriesRecord(
            series_uid=uid(f"series {word}"),
            revision=revision,
            study_uid=uid(f"study {word}"),
            state=SeriesState.RELEASED,
            instance_count=24,
            digest=key(f"input {word} {revision}"),
            source="CT1",
            modality=modality,
            complete_by="quiet for 30 s",
            first_seen=now() - timedelta(minutes=minutes),
            released_at=now() - timedelta(minutes=minutes - 0.5),
        )
        if self.ledger.series.put(record, ()):
            explanation = RULES.explain(facts or {"Modality": (modality,)})
            self.ledger.series.explain(
                record.series_uid, revision, matched=explanation.matched, explanation=explanation.to_json()
            )
        return record

    def job(
        self, word: str, *, series: SeriesRecord | None = None, minutes: float = 20, **changes: object
    ) -> JobRecord:
        """Return a waiting job on the series of the same word."""
        series = series or self.series(word, minutes=minutes + 1)
        record = JobRecord(
            key=key(word),
            series_uid=series.series_uid,
            revision=series.revision,
            study_uid=series.study_uid,
            model="brain-mask",
            model_version="1.0.0",
            model_digest=key("weights"),
            rule="brain on T1",
            priority=Priority.ROUTINE,
            device="cpu",
            attempts=1,
            seconds={"complete": 30.2, "read": 0.41, "infer": 2.93, "write": 0.62},
            created_at=now() - timedelta(minutes=minutes),
            updated_at=now() - timedelta(minutes=minutes - 1),
        )
        self.keys[word] = record.key
        self.ledger.jobs.add(replace(record, **changes))  # type: ignore[arg-type]
        return self.ledger.jobs.get(record.key)

    def result(self, word: str, *, delivery: DeliveryState = DeliveryState.CONFIRMED, **changes: object) -> JobRecord:
        """Return a job that has objects and waits for a verdict."""
        measured = {"name": "Volume", "segment": "Brain", "value": BRAIN_ML, "unit": "ml"}
        job = self.job(word, **{"measurements": (measured,), **changes})  # type: ignore[arg-type]
        self.ledger.objects.put(job.key, [self._object(job, kind) for kind in (ObjectKind.SEG, ObjectKind.SR)])
        self.ledger.jobs.move(job.key, JobState.RUNNING)
        self.ledger.jobs.move(job.key, JobState.DELIVERING)
        self.ledger.deliveries.add(job.key, "pacs")
        self._deliver(job, delivery)
        self.ledger.reviews.open(job.key, job.updated_at)
        return self.ledger.jobs.get(job.key)

    def verdict(
        self, word: str, state: ReviewState, *, second_reader: SecondReader = SecondReader.NONE, **said: Any
    ) -> ReviewRecord:
        """Return what Dr. Ada Okafor said of the result, or that it waits for a second reader."""
        seen = self.ledger.reviews.newest(self.keys[word])
        assert seen is not None
        record = ReviewRecord(
            job_key=self.keys[word], state=state, at=now(), **{"by": "Ada Okafor", "organization": "St. Anna", **said}
        )
        return self.ledger.reviews.add(record, seen=seen.state, second_reader=second_reader)

    def _deliver(self, job: JobRecord, state: DeliveryState) -> None:
        if state is DeliveryState.WAITING:
            error, due = "the archive does not answer", now() + timedelta(minutes=2)
            self.ledger.deliveries.move(job.key, "pacs", state, error=error, next_attempt_at=due, attempts=3)
            return
        self.ledger.deliveries.move(job.key, "pacs", DeliveryState.SENDING, attempts=1)
        self.ledger.deliveries.move(job.key, "pacs", state, confirmed_by="readback")
        self.ledger.jobs.move(job.key, JobState.DONE)

    def _object(self, job: JobRecord, kind: ObjectKind) -> ObjectRecord:
        name = uid(f"{kind} {job.key}")
        return ObjectRecord(
            sop_uid=name,
            job_key=job.key,
            kind=kind,
            sop_class="1.2.840.10008.5.1.4.1.1.66.4" if kind is ObjectKind.SEG else "1.2.840.10008.5.1.4.1.1.88.34",
            series_uid=uid(f"series of {kind} {job.key}"),
            study_uid=job.study_uid,
            path=Path(f"/outbox/{name}.dcm"),
            sha256=key(name),
        )


def quarantine(room: ReadingRoom, series: SeriesRecord, *, images: int = 2) -> None:
    """Let another sender bring other content under UIDs of this series."""
    for number in range(images):
        room.ledger.quarantine.put(
            QuarantinedImage(
                series_uid=series.series_uid,
                sop_uid=uid(f"quarantined {number}"),
                digest=key(f"quarantined {number}"),
                study_uid=series.study_uid,
                path=Path(f"/spool/{number}.dcm"),
                sender="EVIL",
                against="CT1",
                conflict=Conflict.CONTENT,
                at=now(),
            )
        )


def fill(room: ReadingRoom) -> ReadingRoom:
    """Return the room after a morning: six waiting results, three judged, three jobs without a result."""
    bleeding = {"name": "Intracranial haemorrhage", "value": "present", "score": 0.97, "urgency": "immediate"}
    midline = {"name": "Midline shift", "value": 6.4, "unit": "mm"}
    room.result(
        "haemorrhage",
        model="haemorrhage",
        model_version="2.1.0",
        rule="head CT without contrast",
        priority=Priority.STAT,
        urgency=Urgency.IMMEDIATE,
        findings=(bleeding,),
        measurements=(midline,),
        minutes=4,
        series=room.series("haemorrhage", modality="CT", minutes=5),
    )
    nodule = {
        "name": "Pulmonary nodule",
        "value": "present",
        "score": 0.81,
        "laterality": "right",
        "site": "upper lobe",
        "urgency": "urgent",
    }
    room.result(
        "nodule",
        model="lung-nodule",
        model_version="0.9.2",
        rule="lung nodules on thin chest CT",
        urgency=Urgency.URGENT,
        findings=(nodule,),
        measurements=({"name": "Diameter", "segment": "Nodule 1", "value": 8.25, "unit": "mm"},),
        minutes=37,
        delivery=DeliveryState.WAITING,
        series=room.series("nodule", modality="CT", minutes=40),
    )
    room.result("brain", minutes=12)
    text = {"name": "Burned-in text", "value": "present", "score": 0.93}
    room.result(
        "text",
        model="burned-in-text",
        model_version="1.0.0",
        rule="text on ultrasound",
        findings=(text,),
        measurements=(),
        minutes=95,
        series=room.series("text", modality="US", minutes=96),
    )
    bone = {"name": "Volume", "segment": "Bone", "value": 812.4, "unit": "ml"}
    room.result(
        "bone",
        model="bone-volume",
        rule="bone on CT",
        measurements=(bone,),
        minutes=190,
        delivery=DeliveryState.UNCONFIRMED,
        series=room.series("bone", modality="CT", minutes=191),
    )
    none = {"name": "Burned-in text", "value": "absent", "score": 0.04}
    room.result(
        "no text",
        model="burned-in-text",
        rule="text on ultrasound",
        findings=(none,),
        measurements=(),
        minutes=260,
        series=room.series("no text", modality="US", minutes=261),
    )
    for word, minutes in (("accepted", 300.0), ("rejected", 320.0), ("old", 400.0)):
        room.result(word, minutes=minutes)
    room.verdict("accepted", ReviewState.ACCEPTED)
    room.verdict(
        "rejected", ReviewState.REJECTED, reason=RejectReason.INCOMPLETE, comment="The right temporal pole is missing."
    )
    room.verdict("old", ReviewState.SUPERSEDED, by="host", organization="")
    room.ledger.jobs.move(room.keys["old"], JobState.SUPERSEDED, reason="2 more instances arrived; see revision 2")
    ended(room, "crashed", JobState.FAILED, "the worker process ended with signal 6 (abort)")
    ended(room, "tilted", JobState.UNSUPPORTED, "gantry-tilt: the gantry is tilted by 12.5 degrees")
    room.job("waits", minutes=1)
    room.series(
        "localizer", modality="CT", facts={"Modality": ("CT",), "ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")}
    )
    return room


def ended(room: ReadingRoom, word: str, state: JobState, reason: str) -> JobRecord:
    """Return a job that ended without a result."""
    job = room.job(word)
    room.ledger.jobs.move(job.key, JobState.RUNNING)
    return room.ledger.jobs.move(job.key, state, reason=reason)


@dataclass(frozen=True)
class Entry:
    """A legend entry."""

    label: str
    colour: tuple[int, int, int]
    text: str
    scale: tuple[tuple[int, int, int], ...] = ()
    visible: bool = True


@dataclass(frozen=True)
class Place:
    """Where an entry of a result is."""

    slice: int


@dataclass
class Drawing:
    """A head of concentric ellipses with an outline, drawn as asked."""

    slices: int = 24
    best_slice: int = 11
    first_number: int | None = 101
    legend: tuple[Entry, ...] = (Entry("Brain", (111, 184, 210), "1,502 ml"),)
    map_names: tuple[str, ...] = ()
    drawn: list[tuple[object, ...]] = field(default_factory=list)
    spots: Mapping[str, Place] = field(
        default_factory=lambda: {"findings/0": Place(6), "measurements/0": Place(11), "measurements/1": Place(14)}
    )

    @property
    def names(self) -> tuple[str, ...]:
        """As of a series whose numbers do not begin with 1."""
        first = self.first_number
        return tuple("" if first is None else f"image {first + index}" for index in range(self.slices))

    def window(self, index: int) -> tuple[float, float] | None:
        return 500.0, 1000.0

    def png(
        self,
        index: int,
        *,
        opacity: float = 0.45,
        outline: bool = True,
        window: tuple[float, float] | None = None,
        size: int | None = None,
        spot: str = "",
        chosen_map: int = 0,
    ) -> bytes:
        self.drawn.append((index, opacity, outline, window, size))
        side = size or 256
        centre, width = window or (500, 1000)
        image = Image.fromarray(self._pixels(index, side, centre, width)).convert("RGB")
        draw = ImageDraw.Draw(image, "RGBA")
        radius = side * self._radius(index) * 0.8
        box = [side / 2 - radius, side / 2 - radius, side / 2 + radius, side / 2 + radius]
        draw.ellipse(
            box, fill=(111, 184, 210, round(255 * opacity)), outline=(111, 184, 210, 255) if outline else None, width=2
        )
        if spot in self.spots and self.spots[spot].slice == index:
            draw.rectangle(box, outline=(255, 255, 255), width=3)
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    def _radius(self, index: int) -> float:
        return 0.45 * (1 - ((index - self.best_slice) / self.slices) ** 2)

    def _pixels(self, index: int, side: int, centre: float, width: float) -> np.ndarray:
        rows, columns = np.mgrid[0:side, 0:side] / side - 0.5
        distance = np.hypot(rows, columns) / self._radius(index)
        tissue = np.where(distance < 0.82, 600 + 120 * np.cos(9 * distance + index), np.where(distance < 1, 950, 0))
        return np.clip((tissue - centre + width / 2) / width * 255, 0, 255).astype(np.uint8)


@dataclass
class Drawings:
    """Pictures for every job; ``gone`` are those whose files are no longer there."""

    drawing: Drawing = field(default_factory=Drawing)
    gone: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)

    def open(self, job_key: str) -> Drawing:
        self.opened.append(job_key)
        self._check(job_key)
        return self.drawing

    def parameters(self, job_key: str) -> Mapping[str, str]:
        self._check(job_key)
        return {"threshold": "0.5", "weights_sha256": key("weights"), "onnxruntime": "1.22.0"}

    def _check(self, job_key: str) -> None:
        if job_key in self.gone:
            raise UnreadableFile("gone")


CARDS: Mapping[str, ModelCardText] = {
    "brain-mask": ModelCardText(
        ModelDescription(
            name="brain-mask",
            version="1.0.0",
            digest=key("weights"),
            description="Outlines the brain on T1-weighted MR of the head.",
            manufacturer="radiology-orchestrator",
            licence="Apache-2.0",
            origin="entry point of radiology-orchestrator 0.1.0",
            intended=Intended(modality=("MR",), body_part=("HEAD", "BRAIN"), minimum_age_years=18),
        ),
        "## Method\n\nA classical method: *thresholds and shape*, no training data.\n\n"
        "## Limits\n\n- Not tested on tumours\n- <script>alert('card')</script>\n",
    )
}
