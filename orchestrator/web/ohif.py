"""The OHIF viewer from npm's built package: which files are served, and the address of a study in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import anyio

from orchestrator.domain.errors import SettingsError
from orchestrator.domain.records import ObjectKind, ObjectRecord

if TYPE_CHECKING:
    from orchestrator.archive.http.client import HttpSession

PLACE: Final = "/viewer/"
_SERIES_TO_OPEN: Final = (ObjectKind.SEG, ObjectKind.SR, ObjectKind.SC)
AT_ONCE: Final = 16
"""Most requests to the archive at the same time; their threads are not those of the pages."""

TYPES: Final = {
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
"""Media type of each kind of file that is served."""
_NOT_SERVED: Final = frozenset(
    {"app-config.js", "google.js", "init-service-worker.js", "oidc-client.min.js", "serve.json", "sw.js"}
)
"""Settings, login and service workers of other sites; this host has its own or none."""
OUR_PLACE: Final = {
    ".js": [(b'__webpack_require__.p = "/";', f'__webpack_require__.p = "{PLACE}";'.encode())],
    ".css": [(b"url(/", f"url({PLACE}".encode())],
}
"""Replacements that move OHIF from the root of a site to PLACE; every other byte is as published."""


@dataclass(frozen=True, slots=True)
class Ohif:
    """An installed viewer and the archive that it shows. ``files``: address below /viewer/ -> file."""

    files: Mapping[str, Path]
    entry: str
    archive: HttpSession
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))

    @classmethod
    def of(cls, folder: Path, archive: HttpSession) -> Ohif:
        """Return the viewer in the folder ``dist`` of npm's @ohif/app.

        Raises SettingsError where that holds no such viewer.
        """
        files = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.suffix in TYPES and path.is_file() and path.name not in _NOT_SERVED
        }
        entries = [name for name in files if name.startswith("app.bundle.") and name.endswith(".js")]
        if len(entries) != 1 or OUR_PLACE[".js"][0][0] not in files[entries[0]].read_bytes():
            raise SettingsError(
                f"[web] viewer: {folder} holds no supported OHIF viewer; run make viewer, "
                "or name the folder dist of npm's @ohif/app@3.13.2"
            )
        return cls(files, entries[0], archive)

    def address(self, study_uid: str, objects: Iterable[ObjectRecord] = ()) -> str:
        """Return the address of a study in OHIF; with objects it opens the series of the first SEG, SR or key image.

        A SEG is drawn on its images at once, an SR on the image of its first outline, a key image is a picture.
        """
        query = {"StudyInstanceUIDs": study_uid}
        series = {each.kind: each.series_uid for each in objects}
        if first := next((series[kind] for kind in _SERIES_TO_OPEN if kind in series), ""):
            query["initialSeriesInstanceUID"] = first
        return f"{PLACE}viewer?{urlencode(query)}"
