"""Which archive the files of a series were fetched from, where their own headers do not say so.

A C-MOVE sends images to the receiver, which cannot know who asked for them; and a file that was pushed before it was
fetched keeps its header. So the fetch records such files, in one small file in the folder of the series.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from orchestrator.durable import write_durably

_NAME = "sources.json"
_log = logging.getLogger(__name__)


def record_source(folder: Path, names: Iterable[str], source: str) -> None:
    """Return when it is durable that these files in the folder of a series were fetched from this archive.

    Raises OSError.
    """
    sources = {**_sources(folder), **dict.fromkeys(names, source)}
    write_durably(folder / _NAME, json.dumps(sources).encode())


def recorded_source(path: Path) -> str:
    """Return the archive that a file in the spool was recorded to be from, empty where none was recorded."""
    return _sources(path.parent).get(path.name, "")


def _sources(folder: Path) -> dict[str, str]:
    try:
        sources = json.loads((folder / _NAME).read_bytes())
        return {str(name): str(source) for name, source in sources.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as fault:
        _log.error("cannot read %s of series %s (%s); ignoring the file", _NAME, folder.name, type(fault).__name__)
        return {}
