"""What the service logs: its own lines, and only warnings of its libraries, which may quote patients."""

from __future__ import annotations

import logging
import warnings

LIBRARIES = ("alembic", "dbos", "pynetdicom", "sqlalchemy", "uvicorn")
QUOTING = ("highdicom", "pydicom")


def start_logging() -> None:
    """Log to standard error with time, level and module."""
    keep_patients_out()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def keep_patients_out() -> None:
    """Silence the libraries that read DICOM: their warnings quote header values and file names, that is patients."""
    warnings.simplefilter("ignore")
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the level counts for the loggers below it
        logging.getLogger(name).disabled = True  # and it sets its own level anew when it is imported
