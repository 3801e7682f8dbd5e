"""Logging: all lines of the host, and only warnings of libraries. None may contain patient data."""

from __future__ import annotations

import logging
import warnings

LIBRARIES = ("alembic", "dbos", "pynetdicom", "sqlalchemy", "uvicorn")
QUOTING = ("highdicom", "pydicom")


def start_logging() -> None:
    """Log to standard error, with time, level and module."""
    silence_quoting_libraries()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def silence_quoting_libraries() -> None:
    """Silence the libraries that read DICOM: their warnings quote header values and file names."""
    warnings.simplefilter("ignore")
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the level also counts for child loggers
        logging.getLogger(name).disabled = True  # the import of the library sets the level again
