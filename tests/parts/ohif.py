"""The OHIF viewer as a part of a test: npm's package where ``make viewer`` put it, or a hollow one of its form."""

from __future__ import annotations

from pathlib import Path

import pytest

VERSION = "3.13.2"
FOLDER = Path(__file__).parents[2] / ".tools" / f"ohif-{VERSION}"
PUBLIC_PATH = b'__webpack_require__.p = "/";'


def ohif() -> Path:
    """Return the folder of the installed viewer; the test is skipped where there is none."""
    if not (FOLDER / "index.html").exists():
        pytest.skip(f"OHIF is not in {FOLDER} (make viewer, which needs npm)")
    return FOLDER


def hollow_viewer(folder: Path) -> Path:
    """Write a folder of the form of npm's package with next to nothing in it, and return it."""
    (folder / "assets").mkdir(parents=True)
    (folder / "app.bundle.0123.js").write_bytes(b"(() => {\n" + PUBLIC_PATH + b"\n})()")
    (folder / "app.bundle.css").write_bytes(b"@font-face { src: url(/font.woff2) }")
    for name in ("app-config.js", "sw.js", "index.html", "decoder.wasm", "assets/logo.png", "app.bundle.0123.js.map"):
        (folder / name).write_bytes(name.encode())
    return folder
