"""The folder of the models that are shipped with the host."""

from __future__ import annotations

from pathlib import Path

import orchestrator


def models_folder() -> Path:
    """Return the folder of shipped models: inside the installed package, else in the checkout."""
    package = Path(orchestrator.__file__).parent
    installed = package / "shipped" / "models"
    return installed if installed.is_dir() else package.parent / "models"
