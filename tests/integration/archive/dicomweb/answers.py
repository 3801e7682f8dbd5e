"""An archive that answers DICOMweb requests as a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from orchestrator.archive import Arrival, Notification, Spool, SpoolInbox, connect
from orchestrator.archive.dicomweb.archive import DicomwebArchive
from orchestrator.domain.ports import FoundSeries
from tests.data.objects import instance
from tests.parts.archive.web_server import Answer, Request, web_server

SERIES = FoundSeries("1.2", "1.2.3")
MULTIPART = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut-here'}


@contextmanager
def archive_that(answers: Callable[[Request], Answer], **told: Any) -> Iterator[DicomwebArchive]:
    """Give an archive that answers so."""
    with web_server(answers) as port:
        archive = connect(f"dicomweb+http://127.0.0.1:{port}/rs", name="vna", **told)
        assert isinstance(archive, DicomwebArchive)
        yield archive


def always(*arguments: Any, **more: Any) -> Callable[[Request], Answer]:
    return lambda _: Answer(*arguments, **more)


def dataset(**values: object) -> dict[str, Any]:
    """Return an answer in DICOM's JSON model, of elements such as x0020000D="1.2"; a list is several values."""
    return {
        tag.lstrip("x"): {"vr": "UI", "Value": value if isinstance(value, list) else [value]}
        for tag, value in values.items()
    }


def answered(*datasets: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(datasets, ensure_ascii=False).encode())


def series(number: int, **more: object) -> dict[str, Any]:
    return dataset(**{"x0020000D": "1.2", "x0020000E": f"1.2.{number}", **more})


def file(sop_uid: str, series_uid: str = SERIES.series_uid) -> bytes:
    written = BytesIO()
    instance(study="1.2", series=series_uid, sop_uid=sop_uid).save_as(written, enforce_file_format=True)
    return written.getvalue()


def multipart(*files: bytes) -> bytes:
    parts = [b"--cut-here\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in files]
    return b"".join(parts) + b"--cut-here--\r\n"


@contextmanager
def inbox(folder: Path) -> Iterator[tuple[SpoolInbox, Callable[[], set[str]]]]:
    """Give an inbox and what tells which instances are in it."""
    told: list[Notification] = []
    made = SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=SERIES.series_uid, notify=told.append)

    def held() -> set[str]:
        made.settle()
        return {note.sop_uid for note in told if isinstance(note, Arrival)}

    yield made, held
    made.close(whole=False)
