"""What the service logs: its own lines, and only warnings of its libraries, which may quote patients."""

from __future__ import annotations

import logging

LIBRARIES = ("alembic", "dbos", "highdicom", "pydicom", "pynetdicom", "sqlalchemy", "uvicorn")


def start_logging() -> None:
    """Log to standard error with time, level and module."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
